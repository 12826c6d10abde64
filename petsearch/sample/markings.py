"""Coat markings: the colour and the marks of each part of a pet."""

import math
import random
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from petsearch.sample.canvas import (
    Colour,
    Points,
    Shape,
    darker,
    ellipse,
    mix,
    rectangle,
    smooth,
)
from petsearch.sample.kinds import Coat, Kind, Pattern

Part = Literal["body", "chest", "thigh", "leg", "paw", "tail", "head", "ear", "muzzle"]
Box = tuple[float, float, float, float]

_WHITE: Colour = (250, 247, 243)


def _box(outline: Points) -> Box:
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@dataclass
class Look:
    """The colouring of a drawn pet; random marks are drawn from `rng`."""

    kind: Kind
    coat: Coat
    rng: random.Random
    sitting: bool

    @cached_property
    def _parts(self) -> dict[Part, Colour]:
        return _part_colours(self.kind, self.coat)

    def colour(self, part: Part) -> Colour:
        """The ground colour of a part."""
        return self._parts.get(part, self.coat.base)

    def marks(self, part: Part, outline: Points) -> list[Shape]:
        """The marks of a part, which the canvas clips to its outline."""
        makers = {
            "stripes": self._stripes,
            "spots": self._spots,
            "patches": self._patches,
            "tricolour": self._saddle,
            "saddle": self._saddle,
            "points": self._lower_leg,
            "bib": self._lower_leg,
            "mask": self._lower_leg,
        }
        maker = makers.get(self.kind.pattern)
        return maker(part, outline) if maker else []

    def _stripes(self, part: Part, outline: Points) -> list[Shape]:
        if part == "tail":
            return _tail_bands(outline, self.coat.second)
        if part == "leg":
            return _leg_bands(_box(outline), self.coat.second)
        if part in ("body", "thigh"):
            wedges = _side_wedges if self.sitting and part == "body" else _back_wedges
            count = 5 if part == "body" else 3
            return [(w, self.coat.second) for w in wedges(_box(outline), count, self.rng)]
        return []

    def _spots(self, part: Part, outline: Points) -> list[Shape]:
        counts = {"body": 26, "thigh": 7, "leg": 4, "tail": 6, "head": 7}
        left, top, right, bottom = _box(outline)
        small = part in ("leg", "tail", "head")
        spots: list[Shape] = []
        for _ in range(counts.get(part, 0)):
            x, y = self.rng.uniform(left, right), self.rng.uniform(top, bottom)
            if part == "head" and (abs(x - (left + right) / 2) < 0.3 * (right - left) or y > top):
                x = left + (right - left) * self.rng.choice((0.12, 0.3, 0.7, 0.88))
                y = top + (bottom - top) * self.rng.uniform(0.06, 0.2)
            size = self.rng.uniform(0.018, 0.032) if small else self.rng.uniform(0.024, 0.05)
            spot = ellipse(x, y, size, size * self.rng.uniform(0.7, 1.0), self.rng.random() * 3)
            spots.append((spot, self.coat.second))
        return spots

    def _patches(self, part: Part, outline: Points) -> list[Shape]:
        is_cat = self.kind.species == "cat"
        if part not in (("body", "thigh", "tail") if is_cat else ("body", "tail")):
            return []
        left, top, right, bottom = _box(outline)
        width, height = right - left, bottom - top
        colours = (self.coat.second, self.coat.third if is_cat else self.coat.second)
        places = ((0.14, 0.3), (0.84, 0.5), (0.52, 0.12), (0.3, 0.8))
        marks: list[Shape] = []
        for number, (x, y) in enumerate(places[: 4 if is_cat else 2]):
            size = max(width, height) * self.rng.uniform(0.16, 0.24)
            blob = _blob((left + width * x, top + height * y), size, self.rng)
            marks.append((blob, colours[number % 2]))
        return marks

    def _saddle(self, part: Part, outline: Points) -> list[Shape]:
        left, top, right, bottom = _box(outline)
        if part == "tail" and self.kind.pattern == "tricolour":
            return [(_tail_tip(outline, 0.3), _WHITE)]
        if part != "body":
            return []
        width, height = right - left, bottom - top
        middle = (left + right) / 2
        if self.sitting:
            sides = (left + 0.04 * width, right - 0.04 * width)
            rims = [ellipse(x, top + 0.45 * height, 0.27 * width, 0.4 * height) for x in sides]
        else:
            rims = [ellipse(middle - 0.04 * width, top, 0.4 * width, 0.5 * height)]
        if self.kind.pattern == "saddle":
            return [(rim, self.coat.third) for rim in rims]
        halo = ellipse(middle, top + 0.3 * height, 0.62 * width, 0.45 * height)
        return [(halo, self.coat.base), *((rim, self.coat.third) for rim in rims)]

    def _lower_leg(self, part: Part, outline: Points) -> list[Shape]:
        if part != "leg":
            return []
        left, top, right, bottom = _box(outline)
        start = top + (bottom - top) * (0.45 if self.kind.pattern == "points" else 0.55)
        return [(rectangle(left, start, right, bottom), self.coat.second)]


def _part_colours(kind: Kind, coat: Coat) -> dict[Part, Colour]:
    base, second, third = coat.base, coat.second, coat.third
    pale = mix(base, third, 0.75)
    below: dict[Part, Colour] = {"chest": second, "muzzle": second, "paw": second}
    white: tuple[Part, ...] = ("body", "chest", "leg", "paw", "muzzle", "thigh")
    parts: dict[Pattern, dict[Part, Colour]] = {
        "plain": {"chest": pale, "muzzle": pale},
        "stripes": {"chest": pale, "muzzle": pale, "paw": pale},
        "points": {"ear": second, "paw": second, "tail": second, "chest": _WHITE},
        "patches": {"chest": third if kind.species == "dog" else _WHITE},
        "tuxedo": {"chest": _WHITE, "muzzle": _WHITE, "paw": _WHITE},
        "spots": {"ear": second},
        "mask": below,
        "bib": below,
        "dark-face": {"ear": second, "muzzle": second, "chest": mix(base, _WHITE, 0.4)},
        "tricolour": {**dict.fromkeys(white, _WHITE), "tail": third, "ear": darker(base, 0.22)},
        "saddle": {
            "muzzle": third,
            "tail": mix(base, third, 0.7),
            "chest": mix(base, _WHITE, 0.25),
        },
    }
    return parts[kind.pattern]


def _blob(centre: tuple[float, float], size: float, rng: random.Random) -> Points:
    spokes = [(step * math.pi / 4, size * rng.uniform(0.72, 1.12)) for step in range(8)]
    x, y = centre
    return smooth([(x + r * math.cos(angle), y + r * math.sin(angle)) for angle, r in spokes])


def _back_wedges(box: Box, count: int, rng: random.Random) -> list[Points]:
    left, top, right, bottom = box
    width, depth = (right - left) / (count + 1), (bottom - top) * 0.62
    wedges = []
    for step in range(count):
        x = left + width * (step + 0.9) + rng.uniform(-0.01, 0.01)
        reach = top + depth * rng.uniform(0.75, 1.1)
        middle = (top + reach) / 2
        control = [(x, top - 0.05), (x + 0.42 * width, top - 0.05), (x + 0.36 * width, middle)]
        wedges.append(smooth([*control, (x - 0.06 * width, reach), (x, middle)]))
    return wedges


def _side_wedges(box: Box, count: int, rng: random.Random) -> list[Points]:
    left, top, right, bottom = box
    height, reach = (bottom - top) / (count + 1.6), (right - left) * 0.3
    wedges = []
    for step in range(count):
        y = top + height * (step + 1.2)
        for edge, sign in ((left, 1.0), (right, -1.0)):
            tip = edge + sign * reach * rng.uniform(0.85, 1.15)
            start = edge - sign * 0.05
            middle = (start + tip) / 2
            control = [(start, y), (middle, y + 0.05 * height), (tip, y + 0.35 * height)]
            wedges.append(smooth([*control, (middle, y + 0.5 * height), (start, y + 0.4 * height)]))
    return wedges


def _leg_bands(box: Box, colour: Colour) -> list[Shape]:
    left, top, right, bottom = box
    heights = [top + (bottom - top) * share for share in (0.3, 0.5, 0.7)]
    return [(rectangle(left, y, right, y + 0.03), colour) for y in heights]


def _tail_bands(outline: Points, colour: Colour) -> list[Shape]:
    half = len(outline) // 2
    bands = [(start, min(start + 3, half - 1)) for start in range(6, half - 2, 6)]
    quads = [outline[[start, stop, -1 - stop, -1 - start]] for start, stop in bands]
    return [(points, colour) for points in (*quads, _tail_tip(outline, 0.14))]


def _tail_tip(outline: Points, share: float) -> Points:
    begin = round(len(outline) // 2 * (1 - share))
    return outline[begin : len(outline) - begin]
