"""Markings of faces by coat pattern, in head units (the skull is about 2 wide)."""

from itertools import product

import numpy as np

from petsearch.sample.canvas import Colour, Shape, ellipse, mirrored, mix, smooth
from petsearch.sample.kinds import Coat, Kind, Pattern

_WHITE: Colour = (252, 250, 247)
_NEARLY_WHITE = 690
"""Sum of the channels above which a colour counts as white."""


def face_marks(kind: Kind, coat: Coat) -> list[Shape]:
    """The markings of a kind's face from back to front; none for a plain coat."""
    marks = _cat_marks if kind.species == "cat" else _dog_marks
    return marks(coat.second, coat.third).get(kind.pattern, [])


def _cat_marks(second: Colour, third: Colour) -> dict[Pattern, list[Shape]]:
    wide = mirrored([(0, -0.5), (0.4, -0.34), (0.76, 0.04), (0.66, 0.66), (0, 0.98)])
    right = smooth([(0.1, -1.0), (1.1, -1.0), (1.1, 0.1), (0.62, 0.2), (0.24, -0.1)])
    left = smooth([(-0.16, -1.0), (-1.1, -1.0), (-1.1, 0.0), (-0.7, 0.16), (-0.3, -0.2)])
    blaze = mirrored([(0, -0.3), (0.07, -0.1), (0.2, 0.22), (0.56, 0.5), (0.4, 1.0), (0, 1.0)])
    muzzle = mirrored([(0, 0.2), (0.4, 0.34), (0.5, 0.7), (0.2, 1.0), (0, 1.0)])
    brows = [
        smooth([(x - 0.07, -0.82), (x + 0.07, -0.82), (x + lean, -0.82 + 0.5)])
        for x, lean in ((0, 0), (0.24, -0.06), (-0.24, 0.06))
    ]
    cheeks = [
        np.array([(sign * 1.1, y - 0.08), (sign * 0.66, y + 0.02), (sign * 1.1, y + 0.08)])
        for sign, y in product((-1, 1), (0.14, 0.4))
    ]
    return {
        "stripes": [(muzzle, third), *((stripe, second) for stripe in (*brows, *cheeks))],
        "points": [
            (wide, mix(second, (240, 226, 200), 0.55)),
            (wide * (0.86, 0.86) + (0, 0.08), third),
        ],
        "patches": [(right, second), (left, third)],
        "tuxedo": [(blaze, second)],
    }


def _dog_marks(second: Colour, third: Colour) -> dict[Pattern, list[Shape]]:
    blaze = mirrored(
        [(0, -1.0), (0.1, -0.8), (0.13, -0.2), (0.44, 0.24), (0.56, 0.7), (0.3, 1.1), (0, 1.1)]
    )
    lower = mirrored(
        [(0, -0.2), (0.14, -0.12), (0.34, -0.3), (0.62, -0.12), (0.98, 0.4), (0.6, 1.1), (0, 1.1)]
    )
    crown = mirrored([(0, -1.0), (0.5, -1.0), (0.34, -0.62), (0.1, -0.3), (0, -0.2)])
    jaw = mirrored([(0, 0.04), (0.4, 0.3), (0.62, 0.6), (0.3, 1.1), (0, 1.1)])
    brows = [(ellipse(s * 0.3, -0.42, 0.13, 0.075, s * 0.3), third) for s in (-1, 1)]
    tan_brows = [(ellipse(s * 0.3, -0.44, 0.1, 0.07), second) for s in (-1, 1)]
    soft = mix(second, (232, 202, 158), 0.25)
    eyes = [(ellipse(s * 0.42, -0.04, 0.3, 0.26), soft) for s in (-1, 1)]
    is_tan = sum(second) < _NEARLY_WHITE
    return {
        "patches": [(ellipse(0.6, -0.3, 0.52, 0.6), second)],
        "mask": [(lower, second), *brows],
        "dark-face": [(ellipse(0, 0.42, 0.66, 0.52), third), *eyes],
        "tricolour": [(blaze, _WHITE)],
        "bib": [*tan_brows, (jaw, second)] if is_tan else [(blaze, second)],
        "saddle": [(ellipse(0, 0.5, 0.5, 0.5), second), (crown, second)],
    }
