"""Heads from the front: ears, eyes, muzzle and the markings of a kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from petsearch.sample.canvas import (
    Canvas,
    Colour,
    Points,
    darker,
    ellipse,
    furry,
    mirrored,
    mix,
    rotated,
    smooth,
)
from petsearch.sample.face_marks import face_marks
from petsearch.sample.markings import Look

_DARK: Colour = (38, 28, 30)
_PINK: Colour = (238, 160, 158)
_WHITE: Colour = (252, 250, 247)

# Right halves of skulls, in head units, from the top to the bottom.
_DOG = [(0, -0.86), (0.46, -0.8), (0.74, -0.4), (0.78, 0.08), (0.66, 0.5), (0.4, 0.84), (0, 0.92)]
_OUTLINES = {
    "cat": [
        (0, -0.76),
        (0.45, -0.74),
        (0.86, -0.3),
        (1.02, 0.2),
        (0.8, 0.62),
        (0.36, 0.84),
        (0, 0.88),
    ],
    "flat-cat": [
        (0, -0.7),
        (0.5, -0.7),
        (0.95, -0.3),
        (1.14, 0.22),
        (0.95, 0.68),
        (0.42, 0.9),
        (0, 0.92),
    ],
    "dog": _DOG,
    "poodle": _DOG,
    "flat-dog": [
        (0, -0.74),
        (0.6, -0.74),
        (0.94, -0.36),
        (0.98, 0.1),
        (1.06, 0.56),
        (0.6, 0.92),
        (0, 0.9),
    ],
}
# Right ears, in head units; the left ear is the mirror image.
_EARS: dict[str, list[tuple[float, float]]] = {
    "cat": [(0.2, -0.62), (0.5, -1.12), (0.84, -1.42), (0.98, -0.92), (0.97, -0.2), (0.6, -0.3)],
    "upright": [(0.1, -0.66), (0.3, -1.14), (0.64, -1.6), (0.84, -1.1), (0.76, -0.4), (0.4, -0.4)],
    "small": [(0.42, -0.74), (0.66, -0.98), (1.0, -0.86), (1.2, -0.42), (1.0, -0.4), (0.72, -0.56)],
    "button": [(0.42, -0.72), (0.78, -0.86), (1.08, -0.56), (1.02, -0.1), (0.8, -0.3), (0.6, -0.5)],
    "floppy": [(0.34, -0.78), (0.78, -0.84), (1.1, -0.4), (1.12, 0.16), (0.92, 0.32), (0.7, -0.2)],
    "long": [(0.36, -0.74), (0.86, -0.7), (1.18, 0.0), (1.16, 0.72), (0.88, 0.84), (0.66, 0.1)],
}
_INNER_EAR = {"cat": (0.66, -0.92), "upright": (0.56, -1.02)}
"""Centre of the inner ear of pointed ears."""


@dataclass(frozen=True)
class Head:
    """Draws a head at a position in pet space; `radius` is half its width, `tilt` in radians."""

    canvas: Canvas
    look: Look
    x: float
    y: float
    radius: float
    tilt: float

    def draw(self) -> None:
        """Draw ears, skull, markings, eyes, muzzle and whiskers."""
        kind = self.look.kind
        hanging = kind.ears in ("floppy", "long", "button")
        if kind.face == "flat-cat":
            ruff = furry(ellipse(0, 0.26, 1.2, 0.62), 0.1, 20)
            self.canvas.part(self._to_pet(ruff), self.look.coat.third)
        if not hanging:
            self._ears()
        self._skull()
        if hanging:
            self._ears()
        if kind.face == "poodle":
            self._topknot()
        if kind.species == "cat":
            self._cat_face()
        else:
            self._dog_face()

    def _to_pet(self, points: Points | Sequence[tuple[float, float]]) -> Points:
        raw = np.asarray(points, dtype=np.float64)
        return rotated(raw, self.tilt) * self.radius + (self.x, self.y)

    def _fill(self, *shapes: tuple[Points | Sequence[tuple[float, float]], Colour]) -> None:
        """Fill shapes in head units from back to front."""
        self.canvas.shapes((self._to_pet(points), colour) for points, colour in shapes)

    def _line(
        self, points: Points | Sequence[tuple[float, float]], colour: Colour, width: float
    ) -> None:
        self.canvas.line(self._to_pet(points), colour, width)

    def _ears(self) -> None:
        kind = self.look.kind
        outline = np.array(_EARS[kind.ears])
        if kind.face == "flat-cat":
            outline = (outline - (0.7, -0.5)) * (0.8, 0.62) + (0.74, -0.5)
        shape = _pointed(outline) if kind.ears in _INNER_EAR else smooth(outline)
        if kind.face == "poodle":
            shape = furry(smooth(outline * (1.02, 1.0)), 0.09, 11)
        for sign, colour in zip((1.0, -1.0), self._ear_colours(), strict=True):
            self.canvas.part(self._to_pet(shape * (sign, 1.0)), colour)
        if kind.ears in _INNER_EAR:
            x, y = (0.74, -0.72) if kind.face == "flat-cat" else _INNER_EAR[kind.ears]
            inner = (shape - (x, y)) * 0.52 + (x, y + 0.06)
            pink = mix(_PINK, self.look.colour("ear"), 0.3)
            self._fill(*((inner * (sign, 1.0), pink) for sign in (1.0, -1.0)))

    def _ear_colours(self) -> tuple[Colour, Colour]:
        """Colours of the right and the left ear."""
        kind, coat, colour = self.look.kind, self.look.coat, self.look.colour("ear")
        if kind.pattern == "patches":
            return coat.second, coat.third if kind.species == "cat" else coat.base
        if kind.pattern == "plain" and kind.ears in ("floppy", "long"):
            colour = darker(colour, 0.12)
        return colour, colour

    def _skull(self) -> None:
        kind = self.look.kind
        outline = mirrored(_OUTLINES[kind.face])
        if kind.fluff and kind.face != "poodle":
            outline = furry(outline * (1.05, 1.02), 0.07 * kind.fluff + 0.015, 26)
        placed = self._to_pet(outline)
        on_face = [(self._to_pet(at), colour) for at, colour in face_marks(kind, self.look.coat)]
        marks = [*on_face, *self.look.marks("head", placed)]
        self.canvas.part(placed, self.look.colour("head"), marks)
        self.canvas.light(self.x, self.y, self.radius)

    def _topknot(self) -> None:
        colour = mix(self.look.coat.base, self.look.coat.third, 0.6)
        puff = furry(
            mirrored([(0, -1.42), (0.5, -1.3), (0.74, -0.86), (0.56, -0.46), (0, -0.36)]), 0.08, 14
        )
        self.canvas.part(self._to_pet(puff), colour)
        x, y = self._to_pet([(0.0, -0.9)])[0]
        self.canvas.light(x, y, self.radius * 0.6, 26)

    def _cat_face(self) -> None:
        kind = self.look.kind
        eyes_y, nose_y = (0.08, 0.24) if kind.face == "flat-cat" else (0.0, 0.3)
        self._cat_eyes(eyes_y)
        muzzle = self.look.colour("muzzle")
        if kind.pattern == "points":
            muzzle = mix(self.look.coat.second, _WHITE, 0.12)
        dark_nose = kind.name in ("black cat", "siamese", "russian blue")
        nose = smooth([(-0.11, nose_y - 0.02), (0.11, nose_y - 0.02), (0.0, nose_y + 0.11)])
        self._fill(
            (ellipse(-0.17, nose_y + 0.22, 0.25, 0.2), muzzle),
            (ellipse(0.17, nose_y + 0.22, 0.25, 0.2), muzzle),
            (nose, darker(_PINK, 0.55) if dark_nose else (226, 122, 124)),
        )
        self._smile(nose_y + 0.1, 0.17, light=sum(muzzle) > 260)
        self._whiskers(nose_y + 0.2)

    def _cat_eyes(self, y: float) -> None:
        for sign in (-1, 1):
            x, turn = sign * 0.43, sign * 0.22
            self._fill(
                (ellipse(x, y, 0.25, 0.225, turn), _DARK),
                (ellipse(x, y, 0.215, 0.195, turn), self.look.coat.eyes),
                (ellipse(x, y, 0.09, 0.18), _DARK),
                (ellipse(x - 0.06, y - 0.08, 0.055, 0.055), _WHITE),
            )

    def _whiskers(self, y: float) -> None:
        colour = (255, 255, 255) if sum(self.look.colour("head")) < 500 else (150, 140, 140)
        for sign, rise in product((-1, 1), (-0.14, 0.0, 0.14)):
            self._line([(sign * 0.36, y + rise * 0.3), (sign * 1.12, y + rise)], colour, 0.008)

    def _smile(self, y: float, reach: float, *, light: bool) -> None:
        colour = _DARK if light else (168, 150, 150)
        shares = [step / 6 for step in range(7)]
        for side in (-reach, reach):
            arc = [(side * at, y + 0.08 + 0.09 * math.sin(math.pi * at)) for at in shares]
            self._line(arc, colour, 0.014)
        self._line([(0.0, y), (0.0, y + 0.08)], colour, 0.014)

    def _dog_face(self) -> None:
        muzzle = self.look.colour("muzzle")
        if self.look.kind.face == "flat-dog":
            self._dog_eyes(0.4, -0.06)
            self._jowls(muzzle)
            return
        self._dog_eyes(0.36, -0.14)
        self._fill((mirrored([(0, 0.0), (0.3, 0.1), (0.46, 0.5), (0.3, 0.84), (0, 0.9)]), muzzle))
        self._tongue(0.66)
        self._nose(0.22, 0.19)
        self._smile(0.36, 0.26, light=sum(muzzle) > 300)

    def _jowls(self, muzzle: Colour) -> None:
        light = sum(muzzle) > 300
        wrinkle = darker(self.look.colour("head"), 0.3)
        for y, reach in ((-0.42, 0.24), (-0.3, 0.16)):
            arc = [(reach * t / 3, y + 0.05 * (t / 3) ** 2) for t in range(-3, 4)]
            self._line(arc, wrinkle, 0.014)
        self._fill((ellipse(0, 0.36, 0.4, 0.34), muzzle))
        for sign in (-1, 1):
            jowl = ellipse(sign * 0.29, 0.52, 0.33, 0.29, sign * 0.3)
            self._fill((jowl, muzzle))
            if light:
                self._line(jowl[2:13], darker(muzzle, 0.3), 0.012)
        self._nose(0.22, 0.17)
        self._smile(0.34, 0.4, light=light)
        if self.look.kind.name == "bulldog":
            for sign in (-1, 1):
                tooth = [(sign * 0.16, 0.62), (sign * 0.3, 0.6), (sign * 0.23, 0.42)]
                self.canvas.part(self._to_pet(tooth), _WHITE)

    def _dog_eyes(self, x: float, y: float) -> None:
        eyes, around = self.look.coat.eyes, self.look.colour("head")
        rim = mix(around, _WHITE, 0.4) if sum(around) < 260 else darker(around, 0.45)
        pupil = 0.06 if eyes[2] > 180 else 0.085
        for centre in (-x, x):
            self._fill(
                (ellipse(centre, y, 0.175, 0.18), rim),
                (ellipse(centre, y, 0.15, 0.158), _DARK),
                (ellipse(centre, y + 0.005, 0.125, 0.13), eyes),
                (ellipse(centre, y, pupil, pupil), _DARK),
                (ellipse(centre - 0.05, y - 0.06, 0.045, 0.045), _WHITE),
            )

    def _nose(self, y: float, size: float) -> None:
        nose = mirrored(
            [
                (0, y - size * 0.6),
                (size, y - size * 0.5),
                (size * 0.8, y + size * 0.2),
                (0, y + size * 0.75),
            ]
        )
        shine = ellipse(-size * 0.3, y - size * 0.25, size * 0.28, size * 0.14)
        self._fill((nose, (36, 30, 34)), (shine, (150, 146, 152)))

    def _tongue(self, y: float) -> None:
        if self.look.rng.random() < 0.55:
            tongue = mirrored([(0, y - 0.16), (0.13, y - 0.14), (0.14, y + 0.16), (0, y + 0.3)])
            self._fill((tongue, (236, 118, 130)))
            self._line([(0, y - 0.1), (0, y + 0.14)], (200, 84, 100), 0.01)


def _pointed(outline: Points) -> Points:
    """An ear with a sharp tip at the third point."""
    inner, _, tip, _, outer, last = outline
    return np.array([*_bow(inner, tip, (-0.05, -0.04)), *_bow(tip, outer, (0.07, -0.03)), last])


def _bow(start: Points, end: Points, bulge: tuple[float, float]) -> list[Points]:
    """Points from `start` to `end`, displaced by up to `bulge` in the middle."""
    shares = np.linspace(0, 1, 8)
    return [start + (end - start) * t + np.array(bulge) * math.sin(math.pi * t) for t in shares]
