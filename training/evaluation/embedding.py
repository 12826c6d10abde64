"""Embeddings of texts and of labelled photos, in batches."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from petsearch.domain import Embeddings, Pixels, PixelSpec
from petsearch.domain.errors import InvalidInput
from petsearch.domain.prompts import apply_templates
from training.evaluation.photos import BrokenPhoto, LabelledPhotos

if TYPE_CHECKING:  # it imports torch
    from petsearch.adapters.clip.model import OpenClipModel

BATCH_SIZE = 32
_TEXTS_AT_A_TIME = 256
_DECODERS = 2


@dataclass(frozen=True)
class EmbeddedPhotos:
    """Photos with their embeddings, and those that could not be decoded."""

    photos: LabelledPhotos
    embeddings: Embeddings
    """`(n, dim)`, one per photo."""
    broken: tuple[BrokenPhoto, ...]


def embed_texts(
    model: "OpenClipModel", texts: Sequence[str], templates: Sequence[str]
) -> Embeddings:
    """Embeddings `(n, dim)`: for each text, the normalised mean over its prompts."""
    prompts = [prompt for text in texts for prompt in apply_templates(text, templates)]
    parts = [
        model.encode_tokens(model.tokenise(prompts[start : start + _TEXTS_AT_A_TIME]))
        for start in range(0, len(prompts), _TEXTS_AT_A_TIME)
    ]
    means = np.concatenate(parts).reshape(len(texts), len(templates), -1).mean(axis=1)
    return cast(Embeddings, means / np.linalg.norm(means, axis=1, keepdims=True))


def embed_photos(
    model: "OpenClipModel", photos: LabelledPhotos, on_photos: Callable[[int], None] | None = None
) -> EmbeddedPhotos:
    """Embed photos in batches; while one is encoded, the next is decoded.

    Args:
        model: encodes the photos.
        photos: the photos.
        on_photos: called after each batch with its number of photos.

    Raises:
        InvalidInput: no photo can be decoded.
    """
    read = partial(_pixels_or_reason, photos, model.info.pixel_spec)
    good: list[int] = []
    broken: list[BrokenPhoto] = []
    embeddings: list[Embeddings] = []
    for batch, results in _ahead(read, len(photos)):
        pairs = zip(batch, results, strict=True)
        decoded = {at: result for at, result in pairs if not isinstance(result, BrokenPhoto)}
        broken += [result for result in results if isinstance(result, BrokenPhoto)]
        good += decoded
        if decoded:
            embeddings.append(model.encode_pixels(np.stack([*decoded.values()])))
        if on_photos:
            on_photos(len(batch))
    if not good:
        raise InvalidInput(f"None of the {len(photos)} photos can be decoded.")
    return EmbeddedPhotos(photos.subset(good), np.concatenate(embeddings), tuple(broken))


def _pixels_or_reason(photos: LabelledPhotos, spec: PixelSpec, index: int) -> Pixels | BrokenPhoto:
    try:
        return photos.pixels(index, spec)
    except InvalidInput as error:
        return BrokenPhoto(photos.name(index), error.detail)


def _ahead(
    read: Callable[[int], Pixels | BrokenPhoto], count: int
) -> Iterator[tuple[range, list[Pixels | BrokenPhoto]]]:
    """Batches of 0..count with their results; the next batch is read in the background."""
    batches = [range(i, min(i + BATCH_SIZE, count)) for i in range(0, count, BATCH_SIZE)]
    with ThreadPoolExecutor(_DECODERS) as pool:
        waiting = [pool.submit(read, index) for index in batches[0]] if batches else []
        for batch, following in zip(batches, [*batches[1:], range(0)], strict=True):
            current, waiting = waiting, [pool.submit(read, index) for index in following]
            yield batch, [future.result() for future in current]
