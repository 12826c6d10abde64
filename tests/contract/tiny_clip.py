"""A `ClipModel` with checkable answers: an embedding says which row it came from."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from petsearch.domain import Embeddings, Label, ModelInfo, ModelUsage, Pixels, PixelSpec
from petsearch.domain.errors import DeviceMemoryFull
from petsearch.ports import Tokens

SIDE = 4
DIM = 4


class TinyClip:
    """Encodes the mean of a row's numbers as an angle. `gate` holds the device up while clear."""

    def __init__(self) -> None:
        self.info = ModelInfo(
            model_id="tiny-000000000000",
            spec="sample",
            dim=DIM,
            pixel_spec=PixelSpec(SIDE, SIDE),
            logit_scale=10.0,
            labels=(Label("siamese", "cat"), Label("pug", "dog")),
            prompt_templates=("{}",),
            label_templates=("a {}", "the {}"),
        )
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.calls: list[tuple[str, int]] = []
        """What ran on the device, and how many rows at a time."""
        self.failure: Exception | None = None
        self.poison: Pixels | None = None
        """A picture that it always fails on, and with it the batch."""
        self.nan = False
        self.most_rows = 1000

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """One token: the length of the text."""
        return np.array([[len(text)] for text in texts], np.int64)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A token for each word, and two marks."""
        return [len(text.split()) + 2 for text in texts]

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """See `ClipModel.encode_pixels`."""
        if self.poison is not None and (pixels == self.poison).all(axis=(1, 2, 3)).any():
            raise RuntimeError("choked on a picture")
        return self._encode("pixels", pixels.reshape(len(pixels), -1).mean(axis=1))

    def encode_tokens(self, tokens: Tokens) -> Embeddings:
        """See `ClipModel.encode_tokens`."""
        return self._encode("texts", tokens[:, 0])

    def usage(self) -> ModelUsage:
        """See `ClipModel.usage`."""
        return ModelUsage(text_positions_needed=3, text_positions_computed=4)

    def _encode(self, kind: str, numbers: np.ndarray) -> Embeddings:
        self.entered.set()
        assert self.gate.wait(30)
        if len(numbers) > self.most_rows:
            raise DeviceMemoryFull("no room")
        self.calls.append((kind, len(numbers)))
        if self.failure is not None:
            raise self.failure
        return np.stack([self.answer(float(number)) for number in numbers])

    def answer(self, number: float) -> Embeddings:
        """The embedding `(DIM,)` of a row whose numbers have the mean `number`."""
        angle = number / 1000
        values = [np.nan if self.nan else np.cos(angle), np.sin(angle), 0.0, 0.0]
        return np.array(values, np.float32)


class OtherClip(TinyClip):
    """Another model: its embeddings are turned by a right angle."""

    def __init__(self) -> None:
        super().__init__()
        model_id = "tiny-111111111111"
        self.info = replace(self.info, model_id=model_id, spec=f"s3:{model_id}")

    def answer(self, number: float) -> Embeddings:
        """See `TinyClip.answer`."""
        return np.roll(super().answer(number), 2)


def pixels(*numbers: int) -> Pixels:
    """Rows `(n, 3, SIDE, SIDE)`, each of one number 0..255."""
    return np.stack([np.full((3, SIDE, SIDE), number, np.uint8) for number in numbers])
