"""Draws a pet from its attributes: background, body, accessory, head."""

import random
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

from petsearch.sample.bodies import Body, Neck, draw_accessory
from petsearch.sample.canvas import WHOLE_PICTURE, Canvas, Colour, Placement
from petsearch.sample.faces import Head
from petsearch.sample.kinds import Coat, Kind
from petsearch.sample.markings import Look
from petsearch.sample.scenes import BACKGROUNDS, vary

Pose = Literal["sitting", "standing", "lying"]
POSES: tuple[Pose, ...] = ("sitting", "standing", "lying")

ACCESSORIES = ("collar", "bandana", "bow tie", "ball")
ACCESSORY_COLOURS: dict[str, Colour] = {
    "red": (214, 48, 52),
    "blue": (42, 98, 208),
    "yellow": (248, 206, 52),
    "pink": (240, 128, 178),
}


@dataclass(frozen=True)
class Attributes:
    """The content of a drawing; `accessory` and `accessory_colour` are both None or both set."""

    kind: Kind
    coat: Coat
    pose: Pose
    background: str
    accessory: str | None = None
    accessory_colour: str | None = None


def draw(attributes: Attributes, rng: random.Random) -> Image.Image:
    """Draw a pet.

    Args:
        attributes: what to draw; a KeyError if background or accessory colour is unknown.
        rng: determines scale, position, flip, tilt, palette and markings.

    Returns:
        An RGB picture, 512 px square.
    """
    canvas = Canvas((255, 255, 255))
    BACKGROUNDS[attributes.background](canvas, rng)
    canvas.place = _placement(attributes, rng)
    look = Look(attributes.kind, _varied(attributes.coat, rng), rng, attributes.pose == "sitting")
    neck = Body(canvas, look).draw(attributes.pose)
    worn = attributes.accessory not in (None, "ball")
    if worn:
        _accessorise(canvas, neck, attributes, rng)
    Head(canvas, look, neck.x, neck.y, neck.radius, rng.uniform(-0.13, 0.13)).draw()
    if not worn:
        _accessorise(canvas, neck, attributes, rng)
    canvas.place = WHOLE_PICTURE
    return canvas.finish()


def _accessorise(canvas: Canvas, neck: Neck, attributes: Attributes, rng: random.Random) -> None:
    if attributes.accessory is None or attributes.accessory_colour is None:
        return
    colour = vary(ACCESSORY_COLOURS[attributes.accessory_colour], rng)
    draw_accessory(canvas, neck, attributes.accessory, colour)


def _placement(attributes: Attributes, rng: random.Random) -> Placement:
    sitting = attributes.pose == "sitting"
    scale = rng.uniform(0.39, 0.46) if sitting else rng.uniform(0.35, 0.41)
    if sitting and attributes.kind.ears == "upright" and attributes.kind.legs == 1.0:
        scale *= 0.92
    if not sitting:
        scale /= 0.5 + 0.5 * attributes.kind.length
    ground = rng.uniform(0.84, 0.92)
    flipped = rng.random() < 0.5
    # In side views the tail extends further than the paws.
    aside = 0.0 if sitting else 0.08 * scale * (-1 if flipped else 1)
    return Placement(0.5 + aside + rng.uniform(-0.05, 0.05), ground, scale, flipped)


def _varied(coat: Coat, rng: random.Random) -> Coat:
    shift = rng.randint(-8, 8)

    def shifted(colour: Colour) -> Colour:
        red, green, blue = (min(255, max(0, c + shift)) for c in vary(colour, rng, 4))
        return red, green, blue

    return replace(
        coat, base=shifted(coat.base), second=shifted(coat.second), third=shifted(coat.third)
    )
