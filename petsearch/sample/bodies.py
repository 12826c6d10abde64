"""Bodies in three poses (sitting, standing, lying) with tails, and accessories."""

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
    ribbon,
    smooth,
)
from petsearch.sample.markings import Look, Part

Path = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Neck:
    """Position of the head on a body: its centre, its radius and the place of a collar."""

    x: float
    y: float
    radius: float
    collar_y: float
    collar_half_width: float


@dataclass(frozen=True)
class Body:
    """Draws one body in pet space."""

    canvas: Canvas
    look: Look

    def draw(self, pose: str) -> Neck:
        """Draw the body in a pose and return the position of its head; KeyError if unknown."""
        poses = {"sitting": self._sitting, "standing": self._standing, "lying": self._lying}
        return poses[pose]()

    def _part(self, part: Part, outline: Points, shade: float = 0.0) -> None:
        colour = self.look.colour(part)
        marks = self.look.marks(part, outline)
        if shade:
            colour = darker(colour, shade)
            marks = [(points, darker(mark, shade)) for points, mark in marks]
        self.canvas.part(outline, colour, marks)

    def _furry_part(self, part: Part, outline: Points, teeth: int) -> None:
        fluff = self.look.kind.fluff
        self._part(part, furry(outline, 0.012 + 0.022 * fluff, teeth) if fluff else outline)

    def _sitting(self) -> Neck:
        kind = self.look.kind
        wide, legs = kind.body, 0.84 + 0.16 * kind.legs
        top = -0.98 * legs
        self.canvas.shadow(0.0, -0.01, 0.62 * wide, 0.09)
        self._tail(0.24 * wide, -0.14, upward=False)
        for sign in (-1, 1):
            self._furry_part("thigh", ellipse(sign * 0.3 * wide, -0.24, 0.23 * wide, 0.24), 14)
            self._part("paw", ellipse(sign * 0.4 * wide, -0.05, 0.15, 0.07))
        half = [
            (0.0, top),
            (0.24, top + 0.06),
            (0.3, -0.6),
            (0.34, -0.28),
            (0.26, -0.06),
            (0, -0.03),
        ]
        self._furry_part("body", mirrored([(x * wide, y) for x, y in half]), 30)
        self._chest(0.0, -0.62 * legs, 0.17 * wide, 0.25)
        self.canvas.light(0.0, -0.45, 0.4 * wide, 30)
        for sign in (-1, 1):
            self._leg(sign * 0.13 * wide, -0.5 * legs, 0.085 * (0.5 + 0.5 * wide))
        radius = 0.45 if kind.species == "cat" else 0.44
        return Neck(0.0, top - 0.2, radius, top + 0.22, 0.25 * wide)

    def _chest(self, x: float, y: float, rx: float, ry: float) -> None:
        colour = self.look.colour("chest")
        if colour != self.look.colour("body"):
            self.canvas.shape(furry(ellipse(x, y, rx, ry), 0.02, 14), colour)

    def _leg(self, x: float, top: float, half: float, shade: float = 0.0) -> None:
        control = [
            (x - half, top),
            (x + half, top),
            (x + half * 0.86, top * 0.4),
            (x + half * 0.9, -0.02),
            (x - half * 0.9, -0.02),
            (x - half * 0.86, top * 0.4),
        ]
        self._part("leg", smooth(control), shade)
        self._part("paw", ellipse(x + 0.02, -0.04, half * 1.22, 0.06), shade)
        self._pompon(x, -0.16, half * 1.5)

    def _pompon(self, x: float, y: float, radius: float) -> None:
        if self.look.kind.face == "poodle":
            puff = furry(ellipse(x, y, radius, radius * 0.85), 0.02, 10)
            self.canvas.part(puff, self.look.coat.third)

    def _standing(self) -> Neck:
        kind = self.look.kind
        wide, long = kind.body, kind.length
        leg = 0.36 * kind.legs + 0.04
        belly, back = -leg, -leg - 0.4 * wide
        self.canvas.shadow(0.02, -0.01, 0.72 * long, 0.08)
        self._tail(-0.54 * long, back + 0.1, upward=True)
        half = 0.078 * (0.5 + 0.5 * wide)
        for x in (-0.36 * long, 0.34 * long):
            self._leg(x, belly - 0.1, half, shade=0.22)
        middle = (belly + back) / 2
        control = [
            (-0.6, middle - 0.02),
            (-0.48, back + 0.02),
            (-0.1, back + 0.03),
            (0.3, back - 0.02),
            (0.56, back - 0.04),
            (0.66, middle),
            (0.5, belly + 0.06),
            (0.1, belly + 0.01 if kind.species == "dog" else belly + 0.05),
            (-0.3, belly - 0.02),
            (-0.55, belly + 0.03),
        ]
        self._furry_part("body", smooth([(x * long, y) for x, y in control]), 34)
        self._chest(0.54 * long, middle - 0.01, 0.1, 0.17 * wide)
        self.canvas.light(-0.28 * long, middle, 0.3, 26)
        self.canvas.light(0.22 * long, middle, 0.3, 26)
        for x in (-0.48 * long, 0.46 * long):
            self._leg(x, belly - 0.1, half)
        radius = 0.4 if kind.species == "cat" else 0.39
        return Neck(0.56 * long, back - 0.24, radius, back + 0.16, 0.2 * wide)

    def _lying(self) -> Neck:
        kind = self.look.kind
        long, high = kind.length, 0.5 * kind.body
        self.canvas.shadow(0.05, 0.0, 0.88 * long, 0.08)
        self._tail(-0.6 * long, -0.14, upward=False)
        half = 0.075 * (0.5 + 0.5 * kind.body)
        self._stretched_leg(0.3, 0.98 * (0.6 + 0.4 * kind.legs) * long, half, -0.1, shade=0.2)
        control = [
            (-0.66, -0.04),
            (-0.74, -0.24),
            (-0.56, -high),
            (-0.1, -high - 0.02),
            (0.3, -high - 0.06),
            (0.56, -high * 0.8),
            (0.62, -0.2),
            (0.5, 0.0),
            (0.0, 0.02),
            (-0.5, 0.02),
        ]
        self._furry_part("body", smooth([(x * long, y) for x, y in control]), 34)
        self._chest(0.5 * long, -0.24, 0.11, 0.18)
        self.canvas.light(-0.1 * long, -high * 0.5, 0.36, 28)
        self._furry_part("thigh", ellipse(-0.42 * long, -0.2, 0.24, 0.21 * kind.body, 0.2), 14)
        self._part("paw", ellipse(-0.2 * long, -0.03, 0.15, 0.06))
        self._stretched_leg(0.28, 0.9 * (0.6 + 0.4 * kind.legs) * long, half, -0.04)
        return Neck(0.42 * long, -high - 0.22, 0.4, -high + 0.19, 0.23 * kind.body)

    def _stretched_leg(
        self, start: float, end: float, half: float, y: float, shade: float = 0.0
    ) -> None:
        outline = smooth(
            [
                (start, y - 0.02 - half),
                (start + 0.2, y - half),
                (end - 0.06, y - half * 0.8),
                (end - 0.06, y + half * 0.6),
                (start + 0.2, y + half * 0.6),
                (start, y + half * 0.5),
            ]
        )
        # Bands run across an upright leg only, so a stretched one is drawn plain.
        colour = self.look.colour("leg")
        self.canvas.part(outline, darker(colour, shade) if shade else colour)
        self._part("paw", ellipse(end - 0.06, y + 0.005, 0.1, half * 0.95), shade)
        self._pompon(end - 0.2, y - 0.01, half * 1.4)

    def _tail(self, x: float, y: float, *, upward: bool) -> None:
        tail = self.look.kind.tail
        if tail == "stub":
            self._furry_part("tail", ellipse(x - 0.03, y - 0.02, 0.1, 0.09), 8)
            return
        path, widths = (_UP if upward else _DOWN)[tail]
        # Sitting pets show the tail on the right; the side views have it at the left end.
        sign = 1.0 if x > 0 else -1.0
        placed = [(x + sign * px, y + py) for px, py in path]
        outline = ribbon(placed, widths)
        if tail in ("brush", "plume", "curl") and self.look.kind.fluff:
            outline = furry(outline, 0.035, 22)
        self._part("tail", outline)
        if tail == "pompon":
            puff = furry(ellipse(*placed[-1], 0.13, 0.12), 0.025, 12)
            self.canvas.part(puff, self.look.coat.third)


_UP: dict[str, tuple[Path, Sequence[float]]] = {
    "long": (
        [(0, 0), (0.2, -0.08), (0.26, -0.36), (0.14, -0.6), (0.24, -0.76)],
        [0.07, 0.065, 0.06, 0.055, 0.045],
    ),
    "brush": ([(0, 0), (0.22, -0.1), (0.3, -0.36), (0.2, -0.58)], [0.08, 0.13, 0.15, 0.09]),
    "whip": ([(0, 0), (0.14, -0.12), (0.22, -0.34), (0.2, -0.52)], [0.075, 0.06, 0.045, 0.025]),
    "curl": (
        [(0, 0), (0.1, -0.16), (0.08, -0.34), (-0.08, -0.38), (-0.14, -0.26), (-0.04, -0.2)],
        [0.08, 0.09, 0.1, 0.09, 0.075, 0.05],
    ),
    "plume": ([(0, 0), (0.2, -0.06), (0.36, -0.2), (0.44, -0.42)], [0.07, 0.11, 0.12, 0.04]),
    "pompon": ([(0, 0), (0.08, -0.14), (0.12, -0.32)], [0.045, 0.04, 0.04]),
}
_DOWN: dict[str, tuple[Path, Sequence[float]]] = {
    "long": (
        [(0, 0), (0.28, 0.06), (0.44, -0.1), (0.42, -0.34), (0.54, -0.46)],
        [0.07, 0.07, 0.065, 0.055, 0.045],
    ),
    "brush": ([(0, 0), (0.24, 0.04), (0.4, -0.1), (0.4, -0.3)], [0.1, 0.13, 0.15, 0.08]),
    "whip": ([(0, 0), (0.2, 0.02), (0.36, -0.1), (0.44, -0.28)], [0.07, 0.06, 0.045, 0.025]),
    "curl": (
        [(0, -0.04), (0.2, -0.1), (0.3, -0.26), (0.2, -0.38), (0.1, -0.28)],
        [0.07, 0.09, 0.1, 0.085, 0.05],
    ),
    "plume": ([(0, 0.02), (0.24, 0.04), (0.42, -0.06), (0.54, -0.24)], [0.07, 0.11, 0.12, 0.04]),
    "pompon": ([(0, 0.0), (0.18, -0.04), (0.3, -0.2)], [0.045, 0.04, 0.04]),
}


def draw_accessory(canvas: Canvas, neck: Neck, accessory: str, colour: Colour) -> None:
    """Put a collar, a bandana or a bow tie below the head, or a ball on the ground."""
    x, y, half = neck.x, neck.collar_y, neck.collar_half_width
    if accessory == "ball":
        _ball(canvas, -0.52 if neck.x == 0 else -0.05, colour)
        return
    band = mirrored([(0, y - 0.04), (half, y - 0.12), (half, y + 0.01), (0, y + 0.09)])
    canvas.part(band + np.array((x, 0)), colour)
    if accessory == "collar":
        canvas.part(ellipse(x, y + 0.11, 0.055, 0.055), (242, 202, 84))
    elif accessory == "bandana":
        cloth = [(-half, y - 0.02), (half, y - 0.02), (half * 0.5, y + 0.16), (0, y + 0.34)]
        cloth = [(x + dx, dy) for dx, dy in [*cloth, (-half * 0.5, y + 0.16)]]
        canvas.part(np.array(cloth), colour)
        dots = ((-0.07, 0.07), (0.07, 0.07), (0.0, 0.17))
        canvas.shapes((ellipse(x + dx, y + dy, 0.022, 0.022), (250, 246, 238)) for dx, dy in dots)
    elif accessory == "bow tie":
        for sign in (-1, 1):
            wing = [(0, 0.0), (sign * 0.23, -0.13), (sign * 0.25, 0.0), (sign * 0.23, 0.13)]
            canvas.part(smooth([(x + dx, y + 0.07 + dy) for dx, dy in wing]), colour)
        canvas.part(ellipse(x, y + 0.07, 0.05, 0.055), darker(colour, 0.2))


def _ball(canvas: Canvas, x: float, colour: Colour) -> None:
    canvas.shadow(x, 0.09, 0.19, 0.04)
    canvas.part(ellipse(x, -0.07, 0.175, 0.175), colour)
    arc = [(x - 0.15 + 0.3 * t / 6, -0.07 + 0.05 * np.sin(t * np.pi / 6)) for t in range(7)]
    canvas.line(np.array(arc), (250, 246, 238), 0.03)
    canvas.shape(ellipse(x - 0.06, -0.15, 0.04, 0.028, 0.6), (255, 255, 255))
