"""A supersampled canvas: smooth shapes, markings clipped to shapes, soft light and shadow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Points = NDArray[np.float64]
Colour = tuple[int, int, int]
Shape = tuple[Points, Colour]

SIZE = 512
_OVERSAMPLING = 2
_LIGHT_SIZE = 128
_CURVE_STEPS = 7


@dataclass(frozen=True)
class Placement:
    """Maps pet space (ground at y = 0, up is negative) to the picture (0..1, y down)."""

    x: float
    y: float
    scale: float
    flipped: bool = False

    def __call__(self, points: Points) -> Points:
        """Map points `(n, 2)` from pet space to the picture."""
        sign = -1.0 if self.flipped else 1.0
        return points * (sign * self.scale, self.scale) + (self.x, self.y)


WHOLE_PICTURE = Placement(0.0, 0.0, 1.0)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` (0..1) of the way from the first to the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """The colour mixed with a warm black."""
    return mix(colour, (30, 18, 24), share)


def smooth(control: Sequence[tuple[float, float]] | Points) -> Points:
    """A closed Catmull-Rom curve through control points, as polygon points `(7 n, 2)`."""
    p1 = np.asarray(control, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
    t = np.linspace(0.0, 1.0, _CURVE_STEPS, endpoint=False)[None, :, None]
    a, b, c, d = (p[:, None, :] for p in (p0, p1, p2, p3))
    curve = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
    curve = (curve + (3 * b - a - 3 * c + d) * t**3) / 2
    return np.asarray(curve.reshape(-1, 2), dtype=np.float64)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> Points:
    """An ellipse as polygon points `(28, 2)`; `turn` in radians."""
    angle = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)
    raw = np.stack([np.cos(angle) * rx, np.sin(angle) * ry], axis=1)
    centre: Points = np.array((x, y), dtype=np.float64)
    return rotated(raw, turn) + centre


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """The corners of an upright rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def rotated(points: Points, turn: float) -> Points:
    """Points turned about the origin by `turn` radians."""
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]), dtype=np.float64)


def mirrored(half: Sequence[tuple[float, float]]) -> Points:
    """A smooth closed shape from its right half, listed from the top to the bottom."""
    return smooth([*half, *[(-x, y) for x, y in reversed(half) if x]])


def ribbon(path: Sequence[tuple[float, float]], widths: Sequence[float]) -> Points:
    """A tail: a smooth open path with a radius at each control point and a rounded end."""
    dense = np.linspace(0.0, 1.0, 8 * len(path))
    extended = np.asarray([path[0], *path, path[-1]], dtype=np.float64)
    centre = smooth(extended)[_CURVE_STEPS : _CURVE_STEPS * len(path) + 1]
    centre = centre[np.linspace(0, len(centre) - 1, len(dense)).astype(int)]
    step = np.gradient(centre, axis=0)
    normal = np.stack([-step[:, 1], step[:, 0]], 1) / (np.linalg.norm(step, axis=1)[:, None] + 1e-9)
    radius = np.interp(dense, np.linspace(0.0, 1.0, len(path)), widths)[:, None]
    direction = np.arctan2(step[-1, 1], step[-1, 0])
    angle = direction + np.linspace(np.pi / 2, -np.pi / 2, 9)[1:-1]
    cap = centre[-1] + radius[-1] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.concatenate([centre + normal * radius, cap, (centre - normal * radius)[::-1]])


def furry(outline: Points, depth: float, teeth: int) -> Points:
    """An outline with `teeth` soft tufts of height `depth`."""
    closed = np.concatenate([outline, outline[:1]])
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    where = np.linspace(0.0, length[-1], teeth * 4, endpoint=False)
    dense = np.stack([np.interp(where, length, closed[:, i]) for i in (0, 1)], axis=1)
    outward = dense - dense.mean(axis=0)
    outward /= np.linalg.norm(outward, axis=1)[:, None] + 1e-9
    profile = np.tile(np.array([0.0, 0.6, 1.0, 0.6]) * depth, teeth)[:, None]
    return np.asarray(dense + outward * profile, dtype=np.float64)


class Canvas:
    """A picture drawn at twice its size, with a coarse light map for the pet."""

    def __init__(self, background: Colour) -> None:
        self._scale = SIZE * _OVERSAMPLING
        self._image = Image.new("RGB", (self._scale, self._scale), background)
        self._draw = ImageDraw.Draw(self._image)
        self._light = Image.new("L", (_LIGHT_SIZE, _LIGHT_SIZE), 128)
        self._light_draw = ImageDraw.Draw(self._light)
        self._pet = Image.new("L", (_LIGHT_SIZE * 2, _LIGHT_SIZE * 2), 0)
        self._pet_draw = ImageDraw.Draw(self._pet)
        self.place = WHOLE_PICTURE

    def shape(self, points: Points, colour: Colour) -> None:
        """Fill a shape given in the current placement."""
        self._draw.polygon(self._pixels(points), fill=colour)

    def shapes(self, shapes: Iterable[Shape]) -> None:
        """Fill several shapes from back to front."""
        for points, colour in shapes:
            self.shape(points, colour)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """Draw an open line; `width` in the current placement's units."""
        thickness = max(2, round(width * self.place.scale * self._scale))
        self._draw.line(self._pixels(points), fill=colour, width=thickness, joint="curve")

    def gradient(self, top: float, bottom: float, first: Colour, second: Colour) -> None:
        """Fill the rows from `top` to `bottom` (0..1) with a vertical gradient."""
        begin, end = round(top * self._scale), round(bottom * self._scale)
        share = np.linspace(0.0, 1.0, max(end - begin, 1))[:, None]
        column = np.asarray(first) * (1 - share) + np.asarray(second) * share
        strip = Image.fromarray(np.repeat(column[:, None].astype(np.uint8), 4, axis=1))
        wide = strip.resize((self._scale, strip.height), Image.Resampling.NEAREST)
        self._image.paste(wide, (0, begin))

    def part(self, outline: Points, colour: Colour, marks: Sequence[Shape] = ()) -> None:
        """Fill a part of the pet with its clipped markings and a thin darker edge."""
        pixels = self._pixels(outline)
        if marks:
            self._fill_marked(pixels, colour, marks)
        else:
            self._draw.polygon(pixels, fill=colour)
        edge = darker(colour, 0.34 if sum(colour) > 180 else -0.22)
        self._draw.line([*pixels, pixels[0]], fill=edge, width=4, joint="curve")
        factor = self._pet.width / self._scale
        self._pet_draw.polygon([(x * factor, y * factor) for x, y in pixels], fill=255)

    def light(self, x: float, y: float, radius: float, strength: int = 40) -> None:
        """Light a round form from above left: brighter there, darker below right."""
        side = -1.0 if self.place.flipped else 1.0
        for sign, shift in ((-1, 0.42), (1, -0.36)):
            centre = np.array([[x + shift * radius * side * 0.6, y + shift * radius]])
            spot = self.place(centre)[0] * _LIGHT_SIZE
            reach = radius * 0.68 * self.place.scale * _LIGHT_SIZE
            self._light_draw.ellipse([*(spot - reach), *(spot + reach)], fill=128 + sign * strength)

    def shadow(self, x: float, y: float, rx: float, ry: float, strength: float = 0.35) -> None:
        """Draw a soft shadow over everything drawn so far."""
        (left, top), (right, bottom) = self.place(np.array([[x - rx, y - ry], [x + rx, y + ry]]))
        left, right = min(left, right), max(left, right)
        margin = 0.03
        box = [round(v * self._scale) for v in (left - margin, top - margin)]
        size = [round((v + 2 * margin) * self._scale) for v in (right - left, bottom - top)]
        small = Image.new("L", (96, 32), 0)
        ImageDraw.Draw(small).ellipse((9, 6, 86, 25), fill=round(255 * strength))
        mask = small.filter(ImageFilter.GaussianBlur(4)).resize(
            (size[0], size[1]), Image.Resampling.BILINEAR
        )
        self._image.paste((40, 30, 50), (box[0], box[1]), mask)

    def finish(self) -> Image.Image:
        """The picture at its final size, RGB, 512 px square, with the pet's light applied."""
        picture = self._image.reduce(_OVERSAMPLING)
        size, smoothly = (SIZE, SIZE), Image.Resampling.BILINEAR
        light = self._light.filter(ImageFilter.GaussianBlur(6)).resize(size, smoothly)
        pet = self._pet.filter(ImageFilter.GaussianBlur(1)).resize(size, smoothly)
        level = Image.composite(light, Image.new("L", (SIZE, SIZE), 128), pet)
        return ImageChops.overlay(picture, Image.merge("RGB", (level, level, level)))

    def _fill_marked(
        self, pixels: list[tuple[float, float]], colour: Colour, marks: Sequence[Shape]
    ) -> None:
        corners = np.asarray(pixels)
        low = np.floor(corners.min(axis=0)).astype(int)
        width, height = (np.ceil(corners.max(axis=0)).astype(int) - low + 1).tolist()
        layer = Image.new("RGB", (width, height), colour)
        draw = ImageDraw.Draw(layer)
        for points, mark_colour in marks:
            moved = np.asarray(self._pixels(points)) - low
            draw.polygon([(x, y) for x, y in moved.tolist()], fill=mark_colour)
        mask = Image.new("L", (width, height), 0)
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in (corners - low).tolist()], fill=255)
        self._image.paste(layer, (int(low[0]), int(low[1])), mask)

    def _pixels(self, points: Points) -> list[tuple[float, float]]:
        return [(x, y) for x, y in (self.place(points) * self._scale).tolist()]
