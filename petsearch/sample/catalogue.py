"""The catalogue of drawn pets: attributes, picture, caption and file name of each number."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from petsearch.sample.captions import full_caption
from petsearch.sample.drawing import ACCESSORIES, ACCESSORY_COLOURS, POSES, Attributes, draw
from petsearch.sample.kinds import KINDS
from petsearch.sample.scenes import BACKGROUNDS

DEMO_SEED = 7
"""Seed of the demo; the bundled model was not trained on it."""
TRAINING_SEED = 1
HELD_OUT_SEED = 2
MODEL_DIR = Path(__file__).parent / "model"
"""The bundled model, in open_clip's `local-dir` format."""

_BARE_SHARE = 0.45
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Drawing:
    """A drawn pet with its caption and attributes."""

    image: Image.Image
    """RGB, 512 px square."""
    caption: str
    kind: str
    species: str
    attributes: Attributes
    filename: str

    def to_jpeg(self) -> bytes:
        """Encode as JPEG; deterministic on one platform."""
        buffer = io.BytesIO()
        self.image.save(buffer, format="JPEG", quality=_JPEG_QUALITY)
        return buffer.getvalue()


def catalogue(count: int, seed: int) -> Iterator[Drawing]:
    """The first `count` drawings of a seed, with equal numbers of each kind.

    A drawing only depends on seed and number, so a longer catalogue starts with the shorter one.
    """
    for number in range(count):
        yield drawing_at(number, seed)


def attributes_at(number: int, seed: int) -> Attributes:
    """The attributes of drawing `number` of a seed, without drawing it (microseconds)."""
    rng = random.Random(f"attributes {seed} {number}")
    kind = KINDS[_kind_at(number, seed)]
    accessory = None if rng.random() < _BARE_SHARE else rng.choice(ACCESSORIES)
    return Attributes(
        kind=kind,
        coat=rng.choice(kind.coats),
        pose=rng.choice(POSES),
        background=rng.choice(tuple(BACKGROUNDS)),
        accessory=accessory,
        accessory_colour=rng.choice(tuple(ACCESSORY_COLOURS)) if accessory else None,
    )


def drawing_at(number: int, seed: int) -> Drawing:
    """Drawing `number` (0 or more) of a seed."""
    attributes = attributes_at(number, seed)
    name = attributes.kind.name
    return Drawing(
        image=draw(attributes, random.Random(f"drawing {seed} {number}")),
        caption=full_caption(attributes),
        kind=name,
        species=attributes.kind.species,
        attributes=attributes,
        filename=f"{name.replace(' ', '_')}_{number:04d}.jpg",
    )


def _kind_at(number: int, seed: int) -> str:
    """Every block of `len(KINDS)` numbers contains each kind once."""
    block, place = divmod(number, len(KINDS))
    return random.Random(f"kinds {seed} {block}").sample(tuple(KINDS), len(KINDS))[place]
