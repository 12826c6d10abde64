"""Heads, seen from the front: ears, eyes, muzzle and the markings that make a kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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

_CAT = [(0, -0.76), (0.45, -0.74), (0.86, -0.3), (1.02, 0.2), (0.8, 0.62), (0.36, 0.84), (0, 0.88)]
_FLAT_CAT = [
    (0, -0.7),
    (0.5, -0.7),
    (0.95, -0.3),
    (1.14, 0.22),
    (0.95, 0.68),
    (0.42, 0.9),
    (0, 0.92),
]
_DOG = [(0, -0.86), (0.46, -0.8), (0.74, -0.4), (0.78, 0.08), (0.66, 0.5), (0.4, 0.84), (0, 0.92)]
_FLAT_DOG = [
    (0, -0.74),
    (0.6, -0.74),
    (0.94, -0.36),
    (0.98, 0.1),
    (1.06, 0.56),
    (0.6, 0.92),
    (0, 0.9),
]
_OUTLINES = {
    "cat": _CAT,
    "flat-cat": _FLAT_CAT,
    "dog": _DOG,
    "flat-dog": _FLAT_DOG,
    "poodle": _DOG,
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
_INNER_EAR = {"cat": ((0.66, -0.92), 0.52), "upright": ((0.56, -1.02), 0.52)}


@dataclass(frozen=True)
class Head:
    """Draws one head at a place in pet space; `radius` is half its width, `tilt` in radians."""

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
            self._ruff()
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

    def _both(self, points: Points, colours: tuple[Colour, Colour]) -> None:
        for sign, colour in zip((1.0, -1.0), colours, strict=True):
            self.canvas.part(self._to_pet(points * (sign, 1.0)), colour)

    def _ears(self) -> None:
        look, ears = self.look, self.look.kind.ears
        colour = look.colour("ear")
        pair = (colour, colour)
        if look.kind.pattern == "patches":
            other = look.coat.third if look.kind.species == "cat" else look.coat.base
            pair = (look.coat.second, other)
        if look.kind.pattern == "plain" and ears in ("floppy", "long"):
            pair = (darker(colour, 0.12), darker(colour, 0.12))
        outline = np.array(_EARS[ears])
        if look.kind.face == "flat-cat":
            outline = (outline - (0.7, -0.5)) * (0.8, 0.62) + (0.74, -0.5)
        shape = _pointed(outline) if ears in ("cat", "upright") else smooth(outline)
        if look.kind.face == "poodle":
            shape = furry(smooth(outline * (1.02, 1.0)), 0.09, 11)
        self._both(shape, pair)
        if ears in _INNER_EAR:
            (x, y), size = _INNER_EAR[ears]
            if look.kind.face == "flat-cat":
                x, y = 0.74, -0.72
            inner = (shape - (x, y)) * size + (x, y + 0.06)
            for sign in (1.0, -1.0):
                self.canvas.shape(self._to_pet(inner * (sign, 1.0)), self._inner_ear_colour())

    def _inner_ear_colour(self) -> Colour:
        return mix(_PINK, self.look.colour("ear"), 0.3)

    def _ruff(self) -> None:
        ruff = furry(ellipse(0, 0.26, 1.2, 0.62), 0.1, 20)
        self.canvas.part(self._to_pet(ruff), self.look.coat.third)

    def _skull(self) -> None:
        kind = self.look.kind
        outline = mirrored(_OUTLINES[kind.face])
        if kind.fluff and kind.face != "poodle":
            outline = furry(outline * (1.05, 1.02), 0.07 * kind.fluff + 0.015, 26)
        placed = self._to_pet(outline)
        marks = [
            (self._to_pet(points), colour) for points, colour in face_marks(kind, self.look.coat)
        ]
        marks += self.look.marks("head", placed)
        self.canvas.part(placed, self.look.colour("head"), marks)
        self.canvas.light(self.x, self.y, self.radius)

    def _topknot(self) -> None:
        colour = mix(self.look.coat.base, self.look.coat.third, 0.6)
        puff = furry(
            mirrored([(0, -1.42), (0.5, -1.3), (0.74, -0.86), (0.56, -0.46), (0, -0.36)]), 0.08, 14
        )
        self.canvas.part(self._to_pet(puff), colour)
        turn = self._to_pet([(0.0, -0.9)])[0]
        self.canvas.light(turn[0], turn[1], self.radius * 0.6, 26)

    def _cat_face(self) -> None:
        flat = self.look.kind.face == "flat-cat"
        lower = 0.08 if flat else 0.0
        self._cat_eyes(0.0 + lower)
        muzzle = self.look.colour("muzzle")
        if self.look.kind.pattern == "points":
            muzzle = mix(self.look.coat.second, _WHITE, 0.12)
        nose_y = 0.24 if flat else 0.3
        for sign in (-1, 1):
            puff = ellipse(sign * 0.17, nose_y + 0.22, 0.25, 0.2)
            self.canvas.shape(self._to_pet(puff), muzzle)
        nose = smooth([(-0.11, nose_y - 0.02), (0.11, nose_y - 0.02), (0.0, nose_y + 0.11)])
        dark_nose = self.look.kind.name in ("black cat", "siamese", "russian blue")
        self.canvas.shape(self._to_pet(nose), darker(_PINK, 0.55) if dark_nose else (226, 122, 124))
        self._smile(nose_y + 0.1, 0.17, light=sum(muzzle) > 260)
        self._whiskers(nose_y + 0.2)

    def _cat_eyes(self, y: float) -> None:
        for sign in (-1, 1):
            x = sign * 0.43
            turn = sign * 0.22
            self.canvas.shape(self._to_pet(ellipse(x, y, 0.25, 0.225, turn)), _DARK)
            self.canvas.shape(self._to_pet(ellipse(x, y, 0.215, 0.195, turn)), self.look.coat.eyes)
            self.canvas.shape(self._to_pet(ellipse(x, y, 0.09, 0.18)), _DARK)
            self.canvas.shape(self._to_pet(ellipse(x - 0.06, y - 0.08, 0.055, 0.055)), _WHITE)

    def _whiskers(self, y: float) -> None:
        colour = (255, 255, 255) if sum(self.look.colour("head")) < 500 else (150, 140, 140)
        for sign in (-1, 1):
            for rise in (-0.14, 0.0, 0.14):
                ends = [(sign * 0.36, y + rise * 0.3), (sign * 1.12, y + rise)]
                self.canvas.line(self._to_pet(ends), colour, 0.008)

    def _smile(self, y: float, reach: float, *, light: bool) -> None:
        colour = _DARK if light else (168, 150, 150)
        for sign in (-1, 1):
            shares = [step / 6 for step in range(7)]
            arc = [
                (sign * reach * share, y + 0.08 + 0.09 * math.sin(math.pi * share))
                for share in shares
            ]
            self.canvas.line(self._to_pet(arc), colour, 0.014)
        self.canvas.line(self._to_pet([(0.0, y), (0.0, y + 0.08)]), colour, 0.014)

    def _dog_face(self) -> None:
        flat = self.look.kind.face == "flat-dog"
        self._dog_eyes(0.4 if flat else 0.36, -0.06 if flat else -0.14)
        muzzle = self.look.colour("muzzle")
        if flat:
            self._jowls(muzzle)
            return
        self.canvas.shape(
            self._to_pet(mirrored([(0, 0.0), (0.3, 0.1), (0.46, 0.5), (0.3, 0.84), (0, 0.9)])),
            muzzle,
        )
        light = sum(muzzle) > 300
        self._tongue(0.66)
        self._nose(0.22, 0.19)
        self._smile(0.36, 0.26, light=light)

    def _jowls(self, muzzle: Colour) -> None:
        light = sum(muzzle) > 300
        wrinkle = darker(self.look.colour("head"), 0.3)
        for y, reach in ((-0.42, 0.24), (-0.3, 0.16)):
            arc = [(reach * t / 3, y + 0.05 * (t / 3) ** 2) for t in range(-3, 4)]
            self.canvas.line(self._to_pet(arc), wrinkle, 0.014)
        self.canvas.shape(self._to_pet(ellipse(0, 0.36, 0.4, 0.34)), muzzle)
        for sign in (-1, 1):
            jowl = ellipse(sign * 0.29, 0.52, 0.33, 0.29, sign * 0.3)
            self.canvas.shape(self._to_pet(jowl), muzzle)
            if light:
                self.canvas.line(self._to_pet(jowl[2:13]), darker(muzzle, 0.3), 0.012)
        self._nose(0.22, 0.17)
        self._smile(0.34, 0.4, light=light)
        if self.look.kind.name == "bulldog":
            for sign in (-1, 1):
                tooth = [(sign * 0.16, 0.62), (sign * 0.3, 0.6), (sign * 0.23, 0.42)]
                self.canvas.part(self._to_pet(tooth), _WHITE)

    def _dog_eyes(self, x: float, y: float) -> None:
        eyes = self.look.coat.eyes
        around = self.look.colour("head")
        pale = eyes[2] > 180
        for sign in (-1, 1):
            rim = mix(around, _WHITE, 0.4) if sum(around) < 260 else darker(around, 0.45)
            self.canvas.shape(self._to_pet(ellipse(sign * x, y, 0.175, 0.18)), rim)
            self.canvas.shape(self._to_pet(ellipse(sign * x, y, 0.15, 0.158)), _DARK)
            self.canvas.shape(self._to_pet(ellipse(sign * x, y + 0.005, 0.125, 0.13)), eyes)
            pupil = 0.06 if pale else 0.085
            self.canvas.shape(self._to_pet(ellipse(sign * x, y, pupil, pupil)), _DARK)
            self.canvas.shape(
                self._to_pet(ellipse(sign * x - 0.05, y - 0.06, 0.045, 0.045)), _WHITE
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
        self.canvas.shape(self._to_pet(nose), (36, 30, 34))
        shine = ellipse(-size * 0.3, y - size * 0.25, size * 0.28, size * 0.14)
        self.canvas.shape(self._to_pet(shine), (150, 146, 152))

    def _tongue(self, y: float) -> None:
        if self.look.rng.random() < 0.55:
            tongue = mirrored([(0, y - 0.16), (0.13, y - 0.14), (0.14, y + 0.16), (0, y + 0.3)])
            self.canvas.shape(self._to_pet(tongue), (236, 118, 130))
            self.canvas.line(self._to_pet([(0, y - 0.1), (0, y + 0.14)]), (200, 84, 100), 0.01)


def _pointed(outline: Points) -> Points:
    """An ear with a sharp tip: straight to the third point, smooth elsewhere."""
    first, _, tip = outline[0], outline[1], outline[2]
    left = [
        first + (tip - first) * t + np.array([-0.05, -0.04]) * math.sin(math.pi * t)
        for t in np.linspace(0, 1, 8)
    ]
    right = outline[4]
    side = [
        tip + (right - tip) * t + np.array([0.07, -0.03]) * math.sin(math.pi * t)
        for t in np.linspace(0, 1, 8)
    ]
    return np.array([*left, *side, outline[5]])
