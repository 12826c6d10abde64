"""Backgrounds of drawings: each function paints one on a canvas."""

import math
import random
from collections.abc import Callable
from itertools import product

import numpy as np

from petsearch.sample.canvas import Canvas, Colour, Points, darker, ellipse, mix, rectangle, smooth

_GROUND_COLOURS: tuple[Colour, ...] = ((206, 92, 44), (226, 148, 48), (178, 60, 44), (212, 178, 62))


def vary(colour: Colour, rng: random.Random, amount: int = 9) -> Colour:
    """The colour with each channel shifted by at most `amount`."""
    red, green, blue = (min(255, max(0, c + rng.randint(-amount, amount))) for c in colour)
    return red, green, blue


def _rounded(left: float, top: float, right: float, bottom: float) -> Points:
    bend = min(right - left, bottom - top) * 0.12
    corners = [
        (left, top + bend),
        (left + bend, top),
        (right - bend, top),
        (right, top + bend),
        (right, bottom - bend),
        (right - bend, bottom),
        (left + bend, bottom),
        (left, bottom - bend),
    ]
    return smooth(corners)


def _cloud(canvas: Canvas, x: float, y: float, size: float, colour: Colour) -> None:
    puffs = ((-0.9, 0.1, 0.55), (0.0, -0.15, 0.8), (0.9, 0.1, 0.6), (0.3, 0.2, 0.8))
    canvas.shapes(
        (ellipse(x + dx * size, y + dy * size, r * size, r * size * 0.62), colour)
        for dx, dy, r in puffs
    )


def grass(canvas: Canvas, rng: random.Random) -> None:
    """A meadow under a blue sky, with tufts and flowers."""
    horizon = rng.uniform(0.42, 0.52)
    canvas.gradient(0.0, 0.6, vary((126, 194, 238), rng), (222, 241, 250))
    _cloud(canvas, rng.uniform(0.1, 0.35), rng.uniform(0.08, 0.2), 0.07, (255, 255, 255))
    _cloud(canvas, rng.uniform(0.65, 0.9), rng.uniform(0.08, 0.24), 0.055, (250, 253, 255))
    hills = [
        (ellipse(rng.uniform(0.1, 0.3), horizon + 0.12, 0.45, 0.2), (142, 190, 112)),
        (ellipse(rng.uniform(0.7, 0.9), horizon + 0.14, 0.5, 0.22), (128, 180, 100)),
    ]
    canvas.shapes(hills)
    green = vary((112, 178, 76), rng)
    canvas.gradient(horizon, 1.0, green, mix(green, (58, 122, 48), 0.6))
    for _ in range(26):
        x, y = rng.random(), rng.uniform(horizon + 0.04, 0.99)
        _tuft(canvas, x, y, 0.02 + 0.03 * (y - horizon), darker(green, 0.2))
    for _ in range(rng.randint(5, 9)):
        x, y = rng.random(), rng.uniform(horizon + 0.12, 0.97)
        _flower(canvas, x, y, rng.choice(((255, 255, 255), (250, 214, 92), (242, 166, 196))))


def _tuft(canvas: Canvas, x: float, y: float, size: float, colour: Colour) -> None:
    for dx, dy in ((-1.0, -0.9), (0.05, -1.5), (0.9, -1.0)):
        blade = [(x - 0.2 * size, y), (x + 0.2 * size, y), (x + dx * size * 0.7, y + dy * size)]
        canvas.shape(np.array(blade), colour)


def _flower(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    for angle in (step * 2 * math.pi / 5 for step in range(5)):
        dx, dy = 0.011 * math.cos(angle), 0.011 * math.sin(angle)
        canvas.shape(ellipse(x + dx, y + dy, 0.0085, 0.0085), colour)
    canvas.shape(ellipse(x, y, 0.007, 0.007), (236, 164, 48))


def sofa(canvas: Canvas, rng: random.Random) -> None:
    """A sofa with two arms and a cushion, in front of a papered wall."""
    wall = vary(rng.choice(((240, 228, 206), (222, 226, 214), (236, 216, 210))), rng)
    canvas.gradient(0.0, 1.0, wall, darker(wall, 0.12))
    for left in (step * 0.125 + 0.03 for step in range(9)):
        canvas.shape(rectangle(left, 0.0, left + 0.045, 0.7), mix(wall, (255, 255, 255), 0.35))
    _picture(canvas, rng)
    colour = vary(rng.choice(((86, 128, 144), (172, 92, 100), (124, 110, 162))), rng)
    top = rng.uniform(0.32, 0.38)
    back_and_cushions = [
        (_rounded(0.06, top, 0.94, 0.95), darker(colour, 0.16)),
        (_rounded(0.14, top + 0.05, 0.495, 0.8), colour),
        (_rounded(0.505, top + 0.05, 0.86, 0.8), colour),
        (_rounded(0.05, 0.72, 0.95, 1.06), mix(colour, (255, 255, 255), 0.14)),
    ]
    canvas.shapes(back_and_cushions)
    canvas.line(np.array([[0.1, 0.93], [0.9, 0.93]]), darker(colour, 0.22), 0.008)
    for left in (-0.07, 0.89):
        arm = _rounded(left, top + 0.2, left + 0.18, 1.06)
        canvas.shape(arm, mix(colour, (255, 255, 255), 0.06))
        canvas.line(arm, darker(colour, 0.25), 0.005)
    _cushion(canvas, rng.choice((0.22, 0.78)), top + 0.27, vary((238, 196, 104), rng))


def _picture(canvas: Canvas, rng: random.Random) -> None:
    left = rng.uniform(0.2, 0.6)
    frame_and_portrait = [
        (rectangle(left, 0.07, left + 0.2, 0.24), (150, 112, 80)),
        (rectangle(left + 0.015, 0.085, left + 0.185, 0.225), (246, 240, 228)),
        (ellipse(left + 0.1, 0.16, 0.035, 0.04), vary((140, 170, 150), rng, 30)),
    ]
    canvas.shapes(frame_and_portrait)


def _cushion(canvas: Canvas, x: float, y: float, colour: Colour) -> None:
    half, waist = 0.1, 0.1 * 0.8
    corners = [
        (x - half, y - half),
        (x, y - waist),
        (x + half, y - half),
        (x + waist, y),
        (x + half, y + half),
        (x, y + waist),
        (x - half, y + half),
        (x - waist, y),
    ]
    outline = smooth(corners)
    canvas.shape(outline, colour)
    canvas.line(outline, darker(colour, 0.2), 0.005)


def snow(canvas: Canvas, rng: random.Random) -> None:
    """Snowy hills with firs, and flakes in the air."""
    canvas.gradient(0.0, 0.6, vary((160, 186, 216), rng), (222, 232, 244))
    horizon = rng.uniform(0.44, 0.52)
    for _ in range(5):
        _fir(canvas, rng.random(), horizon + 0.02, rng.uniform(0.14, 0.24), rng)
    canvas.shape(ellipse(0.2, horizon + 0.2, 0.55, 0.22), (230, 238, 248))
    canvas.shape(ellipse(0.85, horizon + 0.24, 0.5, 0.26), (222, 232, 245))
    canvas.gradient(horizon + 0.12, 1.0, (240, 246, 252), (212, 224, 240))
    for _ in range(5):
        y = rng.uniform(horizon + 0.2, 0.96)
        canvas.shape(ellipse(rng.random(), y, 0.13, 0.016), (206, 219, 237))
    for _ in range(34):
        size = rng.uniform(0.004, 0.009)
        canvas.shape(ellipse(rng.random(), rng.random() * 0.75, size, size), (255, 255, 255))


def _fir(canvas: Canvas, x: float, y: float, height: float, rng: random.Random) -> None:
    colour = vary((74, 112, 104), rng)
    for level in range(3):
        base, half = y - height * 0.27 * level, height * (0.3 - 0.07 * level)
        peak, reach = base - height * 0.42, half * 0.45
        snow_line = peak + height * 0.17
        canvas.shape(np.array([[x - half, base], [x + half, base], [x, peak]]), colour)
        cap = [[x - reach, snow_line], [x + reach, snow_line], [x, peak]]
        canvas.shape(np.array(cap), (244, 248, 252))


def beach(canvas: Canvas, rng: random.Random) -> None:
    """Sand, sea and sun, with shells and a parasol."""
    horizon = rng.uniform(0.3, 0.36)
    shore = horizon + rng.uniform(0.16, 0.2)
    canvas.gradient(0.0, horizon, vary((118, 200, 240), rng), (236, 246, 248))
    sun = rng.uniform(0.12, 0.88)
    canvas.shape(ellipse(sun, 0.12, 0.075, 0.075), (255, 240, 188))
    canvas.shape(ellipse(sun, 0.12, 0.055, 0.055), (255, 222, 110))
    canvas.gradient(horizon, shore + 0.02, vary((30, 132, 178), rng), (84, 196, 206))
    for _ in range(9):
        x, y = rng.random(), rng.uniform(horizon + 0.02, shore - 0.03)
        canvas.line(np.array([[x, y], [x + 0.07, y]]), (168, 224, 232), 0.005)
    sand = vary((240, 214, 158), rng)
    wave = [(x / 6, shore + 0.012 * math.sin(x * 2.2 + sun * 9)) for x in range(7)]
    foam = np.array([(x, y - 0.016) for x, y in wave] + [(1.0, 1.0), (0.0, 1.0)])
    canvas.shape(foam, (250, 252, 252))
    canvas.shape(np.array([*wave, (1.0, 1.0), (0.0, 1.0)]), sand)
    canvas.gradient(shore + 0.04, 1.0, sand, darker(sand, 0.13))
    for _ in range(36):
        x, y = rng.random(), rng.uniform(shore + 0.05, 0.99)
        canvas.shape(ellipse(x, y, 0.004, 0.003), darker(sand, 0.25))
    _starfish(canvas, rng.uniform(0.06, 0.94), rng.uniform(0.9, 0.96), rng.random())
    _parasol(canvas, rng.choice((0.14, 0.86)), shore, vary((232, 104, 92), rng))


def _starfish(canvas: Canvas, x: float, y: float, turn: float) -> None:
    angles = [turn + step * math.pi / 5 for step in range(10)]
    points = [
        (x + radius * math.cos(angle), y + radius * 0.8 * math.sin(angle))
        for angle, radius in zip(angles, (0.03, 0.013) * 5, strict=True)
    ]
    canvas.shape(np.array(points), (232, 120, 84))


def _parasol(canvas: Canvas, x: float, foot: float, colour: Colour) -> None:
    canvas.line(np.array([[x, foot + 0.07], [x, foot - 0.2]]), (236, 232, 224), 0.01)
    for step in range(6):
        first, last = (math.pi * (1 + s / 6) for s in (step, step + 1))
        arc = [first + (last - first) * s / 6 for s in range(7)]
        rim = [(x + 0.13 * math.cos(a), foot - 0.14 + 0.12 * math.sin(a)) for a in arc]
        canvas.shape(np.array([*rim, (x, foot - 0.14)]), colour if step % 2 else (250, 244, 236))


def rug(canvas: Canvas, rng: random.Random) -> None:
    """A round patterned rug on a wooden floor, indoors."""
    wall = vary(rng.choice(((206, 222, 220), (232, 220, 196), (214, 206, 224))), rng)
    canvas.gradient(0.0, 0.5, wall, darker(wall, 0.06))
    _window(canvas, rng.uniform(0.12, 0.62))
    wood = vary((186, 132, 86), rng)
    canvas.gradient(0.5, 1.0, wood, darker(wood, 0.12))
    canvas.shape(rectangle(0.0, 0.475, 1.0, 0.505), (246, 242, 234))
    for step in range(-4, 15):
        foot = 0.5 + (step - 5) * 0.16
        canvas.line(np.array([[step * 0.1, 0.505], [foot, 1.0]]), darker(wood, 0.22), 0.004)
    colour = vary(rng.choice(((172, 52, 62), (40, 92, 140), (58, 118, 98))), rng)
    rings = (colour, (244, 228, 196), colour, (236, 182, 96), mix(colour, (255, 255, 255), 0.2))
    for ring, share in zip(rings, (1.0, 0.9, 0.84, 0.6, 0.54), strict=True):
        canvas.shape(ellipse(0.5, 0.84, 0.49 * share, 0.165 * share), ring)
    for angle in (step * math.pi / 9 for step in range(18)):
        dot = ellipse(0.5 + 0.353 * math.cos(angle), 0.84 + 0.119 * math.sin(angle), 0.013, 0.009)
        canvas.shape(dot, (244, 228, 196))


def _window(canvas: Canvas, left: float) -> None:
    canvas.shape(rectangle(left, 0.05, left + 0.27, 0.38), (250, 248, 244))
    for column, row in product(range(2), range(2)):
        x, y = left + 0.015 + column * 0.125, 0.065 + row * 0.155
        canvas.shape(rectangle(x, y, x + 0.115, y + 0.145), (190, 222, 240))


def leaves(canvas: Canvas, rng: random.Random) -> None:
    """A carpet of autumn leaves under bare trunks."""
    canvas.gradient(0.0, 0.6, vary((240, 222, 186), rng), (250, 238, 212))
    horizon = rng.uniform(0.44, 0.5)
    for _ in range(6):
        x, width = rng.random(), rng.uniform(0.015, 0.035)
        trunk = rectangle(x - width, 0.0, x + width, horizon + 0.02)
        canvas.shape(trunk, vary((128, 92, 70), rng))
    for _ in range(16):
        size = rng.uniform(0.05, 0.1)
        crown = ellipse(rng.random(), rng.uniform(-0.02, 0.13), size, size * 0.7)
        canvas.shape(crown, vary(rng.choice(_GROUND_COLOURS), rng, 14))
    canvas.gradient(horizon, 1.0, (188, 112, 56), (150, 84, 44))
    for y in sorted(rng.uniform(horizon, 1.0) for _ in range(150)):
        _leaf(canvas, rng.random(), y, 0.012 + 0.035 * (y - horizon), rng)


def _leaf(canvas: Canvas, x: float, y: float, size: float, rng: random.Random) -> None:
    turn = rng.uniform(0, math.pi)
    dx, dy, wide = size * math.cos(turn), size * math.sin(turn) * 0.6, size * 0.5 * 0.8
    points = [
        (x - dx, y - dy),
        (x - dy * 0.5, y + wide),
        (x + dx, y + dy),
        (x + dy * 0.5, y - wide),
    ]
    canvas.shape(np.array(points), vary(rng.choice(_GROUND_COLOURS), rng, 16))


BACKGROUNDS: dict[str, Callable[[Canvas, random.Random], None]] = {
    "grass": grass,
    "sofa": sofa,
    "snow": snow,
    "beach": beach,
    "rug": rug,
    "leaves": leaves,
}
