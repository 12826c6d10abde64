"""Training data: drawings as pixels in memory, texts that describe them, and off-topic texts."""

import multiprocessing
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from petsearch.sample.captions import BACKGROUND_WORDS, Text, any_text, facts_of, vocabulary
from petsearch.sample.catalogue import attributes_at, drawing_at
from petsearch.sample.drawing import Attributes
from training.drawings.config import DataConfig

_MARGIN = 1.125
_CHUNK = 64
_UNKNOWN_SHARE = 0.2
_FRAMES = ("{}", "{}", "a {}", "a photo of a {}", "a picture of a {}", "a drawing of a {}", "my {}")
_COLOURS = ("red", "blue", "yellow", "pink", "white", "black", "brown", "grey", "golden")


@dataclass(frozen=True)
class Drawings:
    """Drawings to train on."""

    pixels: Tensor
    """uint8 `(n, 3, side, side)`, larger than the model's images by a margin for crops."""
    attributes: tuple[Attributes, ...]


@dataclass(frozen=True)
class Batch:
    """Images and texts of one step."""

    images: Tensor
    """float32 `(n, 3, size, size)` in -1..1."""
    texts: list[str]
    """One per image."""
    relevant: Tensor
    """bool `(texts, images)`: whether the text describes the image."""
    off_topic: list[str]


def render(config: DataConfig, image_size: int) -> Drawings:
    """Draw the training drawings in `config.workers` processes."""
    numbers = [
        range(i, min(i + _CHUNK, config.drawings)) for i in range(0, config.drawings, _CHUNK)
    ]
    work = partial(_render_chunk, seed=config.seed, side=round(image_size * _MARGIN))
    if config.workers == 1:
        chunks = [work(chunk) for chunk in numbers]
    else:
        # Not fork: torch's threads do not survive it.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(config.workers, mp_context=context) as pool:
            chunks = list(pool.map(work, numbers))
    attributes = tuple(attributes_at(number, config.seed) for number in range(config.drawings))
    return Drawings(torch.from_numpy(np.concatenate(chunks)), attributes)


def _render_chunk(numbers: range, *, seed: int, side: int) -> NDArray[np.uint8]:
    pictures = (drawing_at(number, seed).image for number in numbers)
    small = (picture.resize((side, side), Image.Resampling.BICUBIC) for picture in pictures)
    return np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in small])


class Sampler:
    """Draws random batches of drawings with texts, and off-topic texts."""

    def __init__(
        self,
        drawings: Drawings,
        off_topic: Sequence[str],
        words: Sequence[str],
        image_size: int,
        rng: random.Random,
    ) -> None:
        self._drawings = drawings
        self._facts = [facts_of(attributes) for attributes in drawings.attributes]
        self._off_topic = off_topic
        self._words = words
        self._image_size = image_size
        self._rng = rng

    def batch(self, size: int, off_topic: int) -> Batch:
        """Draw `size` images with a text each, and `off_topic` texts that describe none of them."""
        chosen = self._rng.sample(range(len(self._facts)), size)
        texts = [any_text(self._drawings.attributes[index], self._rng) for index in chosen]
        return Batch(
            images=augmented(self._drawings.pixels[chosen], self._image_size, self._rng),
            texts=[self._with_unknown_words(text) for text in texts],
            relevant=relevance(texts, [self._facts[index] for index in chosen]),
            off_topic=[self._off_topic_text() for _ in range(off_topic)],
        )

    def _with_unknown_words(self, text: Text) -> str:
        """The text, sometimes with words that are unrelated to any drawing, as users add them.

        Only to texts that name a pet: "horse on grass" does not describe a dog on grass.
        """
        words = text.words.split()
        if self._rng.random() < _UNKNOWN_SHARE and any("species:" in fact for fact in text.facts):
            place = self._rng.choice((0, len(words)))
            words[place:place] = self._rng.choices(self._words, k=self._rng.randint(1, 3))
        return " ".join(words)

    def _off_topic_text(self) -> str:
        """A listed phrase, or words of the vocabulary that describe no drawing."""
        rng = self._rng
        if rng.random() < 0.3:
            return rng.choice(_FRAMES).replace("{}", rng.choice(self._off_topic))
        words = rng.choices(self._words, k=rng.randint(1, 4))
        if rng.random() < 0.3:
            words.insert(0, rng.choice(_COLOURS))
        if rng.random() < 0.15:
            words.append(rng.choice(BACKGROUND_WORDS[rng.choice(tuple(BACKGROUND_WORDS))]))
        return rng.choice(_FRAMES).replace("{}", " ".join(words))


def relevance(texts: Sequence[Text], facts: Sequence[frozenset[str]]) -> Tensor:
    """bool `(texts, drawings)`: whether every fact of the text holds in the drawing."""
    names = sorted(frozenset().union(*facts, *(text.facts for text in texts)))
    absent = torch.tensor([[name not in held for name in names] for held in facts])
    named = torch.tensor([[name in text.facts for name in names] for text in texts])
    return (named.float() @ absent.float().T) == 0


def augmented(pixels: Tensor, image_size: int, rng: random.Random) -> Tensor:
    """Crop (the same for the batch), mirror and jitter uint8 `(n, 3, s, s)`; returns -1..1."""
    full = pixels.shape[-1]
    side = rng.randint(round(full * 0.84), full)
    top, left = rng.randint(0, full - side), rng.randint(0, full - side)
    images = pixels[:, :, top : top + side, left : left + side].float() / 255
    images = F.interpolate(images, size=image_size, mode="bilinear")
    mirror = torch.tensor([rng.random() < 0.5 for _ in range(len(images))])
    images = torch.where(mirror[:, None, None, None], images.flip(-1), images)
    gain = torch.tensor([[rng.uniform(0.88, 1.12) for _ in range(3)] for _ in range(len(images))])
    shared = torch.tensor([rng.uniform(0.9, 1.1) for _ in range(len(images))])
    gain = 1 + (gain - 1) * 0.4 + (shared[:, None] - 1)
    return (images * gain[:, :, None, None]).clamp(0, 1) * 2 - 1


def background_words(tokens: Iterable[str], held_out: Sequence[str]) -> list[str]:
    """Words for off-topic texts: whole words of a BPE vocabulary that no caption uses.

    Args:
        tokens: the tokenizer's vocabulary, in which "</w>" ends a word.
        held_out: off-topic texts for evaluation; their words are excluded.
    """
    kept_away = vocabulary().union(*(text.split() for text in held_out))
    kept_away |= {f"{word}s" for word in kept_away}
    endings = (token.removesuffix("</w>") for token in tokens if token.endswith("</w>"))
    return [w for w in endings if len(w) > 2 and w.isascii() and w.isalpha() and w not in kept_away]
