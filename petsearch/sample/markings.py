"""Coat markings: the colour of each part of a pet and the marks on it."""

import math
import random
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from petsearch.sample.canvas import Colour, Mark, Points, darker, ellipse, mix, smooth
from petsearch.sample.kinds import Coat, Kind

Part = Literal["body", "chest", "thigh", "leg", "paw", "tail", "head", "ear", "muzzle"]
Box = tuple[float, float, float, float]

_WHITE: Colour = (250, 247, 243)


def _box(outline: Points) -> Box:
    (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


@dataclass
class Look:
    """How one drawn pet is coloured; random marks come from `rng`."""

    kind: Kind
    coat: Coat
    rng: random.Random
    sitting: bool
    _parts: dict[Part, Colour] = field(init=False)

    def __post_init__(self) -> None:
        self._parts = _part_colours(self.kind, self.coat)

    def colour(self, part: Part) -> Colour:
        """The ground colour of a part."""
        return self._parts.get(part, self.coat.base)

    def marks(self, part: Part, outline: Points) -> list[Mark]:
        """Markings on a part, to be clipped to its outline."""
        pattern = self.kind.pattern
        if pattern == "stripes":
            return self._stripes(part, outline)
        if pattern == "spots":
            return self._spots(part, outline)
        if pattern == "patches":
            return self._patches(part, outline)
        if pattern in ("tricolour", "saddle"):
            return self._saddle(part, outline)
        if pattern in ("points", "bib", "mask"):
            return self._lower_leg(part, outline)
        return []

    def _stripes(self, part: Part, outline: Points) -> list[Mark]:
        if part == "tail":
            return _tail_bands(outline, self.coat.second)
        if part == "leg":
            return _leg_bands(_box(outline), self.coat.second)
        if part in ("body", "thigh"):
            from_sides = self.sitting and part == "body"
            count = 5 if part == "body" else 3
            wedges = _side_wedges if from_sides else _back_wedges
            return [(w, self.coat.second) for w in wedges(_box(outline), count, self.rng)]
        return []

    def _spots(self, part: Part, outline: Points) -> list[Mark]:
        counts = {"body": 26, "thigh": 7, "leg": 4, "tail": 6, "head": 7}
        left, top, right, bottom = _box(outline)
        small = part in ("leg", "tail", "head")
        spots: list[Mark] = []
        for _ in range(counts.get(part, 0)):
            x, y = self.rng.uniform(left, right), self.rng.uniform(top, bottom)
            if part == "head" and (abs(x - (left + right) / 2) < 0.3 * (right - left) or y > top):
                x = left + (right - left) * self.rng.choice((0.12, 0.3, 0.7, 0.88))
                y = top + (bottom - top) * self.rng.uniform(0.06, 0.2)
            size = self.rng.uniform(0.018, 0.032) if small else self.rng.uniform(0.024, 0.05)
            spot = ellipse(x, y, size, size * self.rng.uniform(0.7, 1.0), self.rng.random() * 3)
            spots.append((spot, self.coat.second))
        return spots

    def _patches(self, part: Part, outline: Points) -> list[Mark]:
        if part not in ("body", "thigh", "tail") or (
            self.kind.species == "dog" and part == "thigh"
        ):
            return []
        left, top, right, bottom = _box(outline)
        width, height = right - left, bottom - top
        colours = (self.coat.second, self.coat.third)
        if self.kind.species == "dog":
            colours = (self.coat.second, self.coat.second)
        places = ((0.14, 0.3), (0.84, 0.5), (0.52, 0.12), (0.3, 0.8))
        marks: list[Mark] = []
        for number, (x, y) in enumerate(places[: 4 if self.kind.species == "cat" else 2]):
            centre = (left + width * x, top + height * y)
            size = max(width, height) * self.rng.uniform(0.16, 0.24)
            marks.append((_blob(centre, size, self.rng), colours[number % 2]))
        return marks

    def _saddle(self, part: Part, outline: Points) -> list[Mark]:
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

    def _lower_leg(self, part: Part, outline: Points) -> list[Mark]:
        if part != "leg":
            return []
        left, top, right, bottom = _box(outline)
        start = top + (bottom - top) * (0.45 if self.kind.pattern == "points" else 0.55)
        corners = [[left, start], [right, start], [right, bottom], [left, bottom]]
        return [(np.array(corners), self.coat.second)]


def _part_colours(kind: Kind, coat: Coat) -> dict[Part, Colour]:
    pale = mix(coat.base, coat.third, 0.75)
    if kind.pattern == "points":
        return {"ear": coat.second, "paw": coat.second, "tail": coat.second, "chest": _WHITE}
    if kind.pattern == "patches":
        return {"chest": coat.third if kind.species == "dog" else _WHITE, "tail": coat.base}
    if kind.pattern == "tuxedo":
        return {"chest": _WHITE, "muzzle": _WHITE, "paw": _WHITE}
    if kind.pattern == "spots":
        return {"ear": coat.second}
    if kind.pattern == "dark-face":
        return {"ear": coat.second, "muzzle": coat.second, "chest": mix(coat.base, _WHITE, 0.4)}
    if kind.pattern == "tricolour":
        white: tuple[Part, ...] = ("body", "chest", "leg", "paw", "muzzle", "thigh")
        colours: dict[Part, Colour] = dict.fromkeys(white, _WHITE)
        return {**colours, "tail": coat.third, "ear": darker(coat.base, 0.22)}
    if kind.pattern in ("bib", "mask"):
        return {"chest": coat.second, "muzzle": coat.second, "paw": coat.second}
    if kind.pattern == "saddle":
        light = mix(coat.base, _WHITE, 0.25)
        return {"muzzle": coat.third, "tail": mix(coat.base, coat.third, 0.7), "chest": light}
    return {"chest": pale, "muzzle": pale, "paw": pale if kind.pattern == "stripes" else coat.base}


def _blob(centre: tuple[float, float], size: float, rng: random.Random) -> Points:
    points = []
    for step in range(8):
        radius = size * rng.uniform(0.72, 1.12)
        angle = step * math.pi / 4
        points.append((centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)))
    return smooth(points)


def _back_wedges(box: Box, count: int, rng: random.Random) -> list[Points]:
    left, top, right, bottom = box
    width, depth = (right - left) / (count + 1), (bottom - top) * 0.62
    wedges = []
    for step in range(count):
        x = left + width * (step + 0.9) + rng.uniform(-0.01, 0.01)
        reach = top + depth * rng.uniform(0.75, 1.1)
        control = [(x, top - 0.05), (x + 0.42 * width, top - 0.05), (x + 0.3 * width, reach * 0.5)]
        control[2] = (x + 0.36 * width, (top + reach) / 2)
        wedges.append(smooth([*control, (x - 0.06 * width, reach), (x, (top + reach) / 2)]))
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


def _leg_bands(box: Box, colour: Colour) -> list[Mark]:
    left, top, right, bottom = box
    marks: list[Mark] = []
    for share in (0.3, 0.5, 0.7):
        y = top + (bottom - top) * share
        corners = [[left, y], [right, y], [right, y + 0.03], [left, y + 0.03]]
        marks.append((np.array(corners), colour))
    return marks


def _tail_bands(outline: Points, colour: Colour) -> list[Mark]:
    half = len(outline) // 2
    marks: list[Mark] = []
    for start in range(6, half - 2, 6):
        stop = min(start + 3, half - 1)
        quad = outline[[start, stop, len(outline) - 1 - stop, len(outline) - 1 - start]]
        marks.append((quad, colour))
    return [*marks, (_tail_tip(outline, 0.14), colour)]


def _tail_tip(outline: Points, share: float) -> Points:
    begin = round(len(outline) // 2 * (1 - share))
    return outline[begin : len(outline) - begin]
