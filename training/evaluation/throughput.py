"""Throughput of a model as it is served: photos and texts per second, median of five rounds."""

import statistics
import time
import timeit
from collections.abc import Callable

import numpy as np

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.domain.prompts import DEFAULT_TEMPLATES, apply_templates
from training.evaluation.embedding import BATCH_SIZE
from training.evaluation.figures import Throughput
from training.evaluation.photos import LabelledPhotos

_ROUNDS = 5


def throughput(
    model: OpenClipModel, photos: LabelledPhotos, clock: Callable[[], float] = time.perf_counter
) -> Throughput:
    """Measure with the first photos, which must be decodable, and prompts of class names."""
    batch = range(min(BATCH_SIZE, len(photos)))
    spec = model.info.pixel_spec
    pixels = np.stack([photos.pixels(index, spec) for index in batch])
    names = [photos.class_names[number % len(photos.class_names)] for number in range(BATCH_SIZE)]
    prompts = [prompt for name in names for prompt in apply_templates(name, DEFAULT_TEMPLATES)]
    tokens = model.tokenise(prompts)
    encoded_s = _median_s(lambda: model.encode_pixels(pixels), clock)
    texts_s = _median_s(lambda: model.encode_tokens(tokens), clock)
    decoded_s = _median_s(lambda: [photos.pixels(index, spec) for index in batch], clock)
    return Throughput(
        device=model.info.device,
        precision=model.info.precision,
        batch_size=len(batch),
        photos_per_s=len(batch) / encoded_s,
        decoded_per_s=len(batch) / decoded_s,
        texts_per_s=len(prompts) / texts_s,
    )


def _median_s(work: Callable[[], object], clock: Callable[[], float]) -> float:
    work()
    return statistics.median(timeit.repeat(work, timer=clock, repeat=_ROUNDS, number=1))
