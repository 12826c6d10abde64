"""Our embeddings are open_clip's own, whatever we do to be faster."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from petsearch.adapters.clip import resolve_model
from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.domain import Embeddings
from petsearch.photos import ImageLimits, decode, to_pixels
from petsearch.sample.catalogue import MODEL_DIR, catalogue

LOWEST = {"fp32": 0.9999, "bf16": 0.999, "fp16": 0.999}
ODD_TEXTS = (
    *("", " ", "cat", "a photo of a cat", "🐈" * 40, "猫の写真", "صورة قطة", "кошка на траве"),
    *("word " * 200, "\n\t", "<b>bold</b>", "e\u0301 \u200b zero width", "A" * 10_000),
)


def texts(count: int) -> list[str]:
    """Odd ones first, then some of every length."""
    rng = random.Random(0)
    words = ("grey", "old", "tabby", "dog", "on the", "grass", "sleeping", "puppy", "red collar")
    made = [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(count)]
    return [*ODD_TEXTS, *made][:count]


Reference = Callable[[list[str], list[Image.Image]], tuple[Embeddings, Embeddings]]


def open_clips_own(spec: str) -> Reference:
    """Text and image embeddings as open_clip's README makes them, one at a time in fp32."""
    source = resolve_model(spec)
    model, _, preprocess = open_clip.create_model_and_transforms(source.architecture)
    model.eval()
    tokenizer = open_clip.get_tokenizer(source.architecture)

    @torch.inference_mode()
    def embed(some: list[str], pictures: list[Image.Image]) -> tuple[Embeddings, Embeddings]:
        of_texts = [model.encode_text(tokenizer([text]), normalize=True) for text in some]
        of_pictures = [
            model.encode_image(preprocess(picture)[None], normalize=True) for picture in pictures
        ]
        return torch.cat(of_texts).numpy(), torch.cat(of_pictures).numpy()

    return embed


def assert_agrees(clip: OpenClipModel, spec: str, pictures: list[Image.Image]) -> None:
    some = texts(200)
    wanted_texts, wanted_pictures = open_clips_own(spec)(some, pictures)
    found_texts = clip.encode_tokens(clip.tokenise(some))
    found_pictures = clip.encode_pixels(
        np.stack([to_pixels(picture, clip.info.pixel_spec) for picture in pictures])
    )
    lowest = LOWEST[clip.info.precision]
    assert (wanted_texts * found_texts).sum(axis=1).min() >= lowest
    assert (wanted_pictures * found_pictures).sum(axis=1).min() >= lowest


def test_the_bundled_model_agrees() -> None:
    spec = f"dir:{MODEL_DIR}"
    assert_agrees(load_model(spec), spec, [drawing.image for drawing in catalogue(20, seed=99)])


def test_a_model_of_real_photos_agrees(shared: Path, real_photos: list[Path]) -> None:
    spec = f"dir:{shared / 'models/pets-base'}"
    # Decoded whole on both sides: decoding at a fraction of the size is images' own matter.
    pictures = [
        decode.decode(path.read_bytes(), ImageLimits(), at_least=10_000).picture
        for path in real_photos
    ]
    assert len(pictures) == 74
    assert_agrees(load_model(spec), spec, pictures)


def test_what_a_text_is_batched_with_does_not_change_it() -> None:
    clip = load_model("sample")
    some = texts(40)
    together = clip.encode_tokens(clip.tokenise(some))
    alone = np.concatenate([clip.encode_tokens(clip.tokenise([text])) for text in some])
    assert (together * alone).sum(axis=1).min() >= LOWEST[clip.info.precision]
    usage = clip.usage()
    assert usage.text_positions_needed <= usage.text_positions_computed
    assert usage.text_positions_computed <= 2 * 40 * 77 + 77


@pytest.mark.parametrize("count", [1, 3, 4, 40])
def test_every_text_is_in_exactly_one_group(count: int) -> None:
    from petsearch.adapters.clip.trimmed_text import length_groups

    lengths = np.random.default_rng(count).integers(2, 78, count)
    groups = length_groups(lengths)
    assert sorted(np.concatenate(groups)) == list(range(count))
