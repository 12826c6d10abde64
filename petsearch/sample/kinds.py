"""The kinds of drawn pets: species, build, coat palettes and colour words."""

from dataclasses import dataclass
from typing import Literal

from petsearch.sample.canvas import Colour

Species = Literal["cat", "dog"]
Ears = Literal["cat", "small", "upright", "floppy", "long", "button"]
Tail = Literal["long", "brush", "whip", "curl", "plume", "stub", "pompon"]
Pattern = Literal[
    "plain",
    "stripes",
    "points",
    "patches",
    "tuxedo",
    "spots",
    "mask",
    "dark-face",
    "tricolour",
    "bib",
    "saddle",
]
Face = Literal["cat", "flat-cat", "dog", "flat-dog", "poodle"]

_WHITE: Colour = (247, 244, 239)
_BLACK: Colour = (44, 42, 48)


@dataclass(frozen=True)
class Coat:
    """A colouring of a kind: its colour words and its palette.

    `even` means that no colour dominates: a calico is not "a white cat".
    """

    words: tuple[str, ...]
    base: Colour
    second: Colour
    third: Colour
    eyes: Colour
    even: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of pet and its build.

    `legs` and `body` scale leg length and body thickness, `length` the standing body;
    `fluff` (0..1) is how far the fur stands out; `looks` are words that always apply.
    """

    name: str
    species: Species
    coats: tuple[Coat, ...]
    pattern: Pattern
    face: Face
    ears: Ears
    tail: Tail
    legs: float = 1.0
    body: float = 1.0
    length: float = 1.0
    fluff: float = 0.0
    looks: tuple[str, ...] = ()


_GREEN, _AMBER, _BLUE, _COPPER = (139, 178, 84), (226, 178, 62), (86, 152, 214), (206, 128, 56)
_DARK_EYES = (58, 38, 30)

CATS = (
    Kind(
        "tabby",
        "cat",
        (
            Coat(("grey",), (152, 152, 156), (82, 82, 90), (222, 220, 216), _GREEN),
            Coat(("brown",), (158, 122, 88), (82, 56, 40), (226, 206, 180), _AMBER),
        ),
        "stripes",
        "cat",
        "cat",
        "long",
        looks=("striped",),
    ),
    Kind(
        "ginger cat",
        "cat",
        (Coat(("orange",), (236, 150, 66), (198, 104, 34), (252, 232, 208), _GREEN),),
        "stripes",
        "cat",
        "cat",
        "long",
        looks=("striped",),
    ),
    Kind(
        "siamese",
        "cat",
        (
            Coat(("cream", "brown"), (240, 226, 200), (84, 60, 50), (84, 60, 50), _BLUE),
            Coat(("cream", "grey"), (236, 230, 220), (112, 116, 130), (112, 116, 130), _BLUE),
        ),
        "points",
        "cat",
        "cat",
        "long",
        body=0.88,
    ),
    Kind(
        "calico",
        "cat",
        (
            Coat(
                ("white", "orange", "black"),
                _WHITE,
                (232, 146, 62),
                (54, 48, 50),
                _GREEN,
                even=True,
            ),
        ),
        "patches",
        "cat",
        "cat",
        "long",
        looks=("patched",),
    ),
    Kind(
        "black cat",
        "cat",
        (Coat(("black",), _BLACK, (58, 56, 64), (62, 60, 68), _AMBER),),
        "plain",
        "cat",
        "cat",
        "long",
    ),
    Kind(
        "persian",
        "cat",
        (
            Coat(("white",), (250, 247, 243), (232, 228, 224), (255, 253, 250), _COPPER),
            Coat(("cream",), (244, 220, 178), (226, 192, 142), (252, 238, 212), _COPPER),
        ),
        "plain",
        "flat-cat",
        "cat",
        "brush",
        legs=0.82,
        body=1.14,
        fluff=1.0,
        looks=("fluffy",),
    ),
    Kind(
        "tuxedo cat",
        "cat",
        (Coat(("black", "white"), _BLACK, _WHITE, _WHITE, _GREEN, even=True),),
        "tuxedo",
        "cat",
        "cat",
        "long",
    ),
    Kind(
        "russian blue",
        "cat",
        (Coat(("grey",), (118, 130, 150), (100, 112, 132), (136, 148, 168), (126, 196, 92)),),
        "plain",
        "cat",
        "cat",
        "long",
        body=0.94,
    ),
)

DOGS = (
    Kind(
        "dalmatian",
        "dog",
        (Coat(("white", "black"), _WHITE, (40, 38, 42), (40, 38, 42), _DARK_EYES, even=True),),
        "spots",
        "dog",
        "floppy",
        "whip",
        body=0.95,
        looks=("spotted",),
    ),
    Kind(
        "husky",
        "dog",
        (
            Coat(("grey", "white"), (126, 132, 144), _WHITE, _WHITE, (104, 178, 232)),
            Coat(("black", "white"), (62, 60, 68), _WHITE, _WHITE, (104, 178, 232)),
        ),
        "mask",
        "dog",
        "upright",
        "curl",
        body=1.05,
        fluff=0.55,
        looks=("fluffy",),
    ),
    Kind(
        "beagle",
        "dog",
        (
            Coat(
                ("brown", "white", "black"),
                (184, 118, 66),
                _WHITE,
                (58, 48, 46),
                _DARK_EYES,
                even=True,
            ),
        ),
        "tricolour",
        "dog",
        "long",
        "whip",
        legs=0.86,
    ),
    Kind(
        "corgi",
        "dog",
        (Coat(("orange", "white"), (226, 150, 80), _WHITE, _WHITE, _DARK_EYES),),
        "bib",
        "dog",
        "upright",
        "stub",
        legs=0.5,
        body=1.02,
        length=1.12,
        fluff=0.2,
    ),
    Kind(
        "bulldog",
        "dog",
        (
            Coat(
                ("white", "brown"), _WHITE, (190, 134, 90), (240, 218, 200), _DARK_EYES, even=True
            ),
            Coat(("brown",), (204, 158, 112), (184, 134, 90), (244, 228, 206), _DARK_EYES),
        ),
        "patches",
        "flat-dog",
        "small",
        "stub",
        legs=0.66,
        body=1.28,
    ),
    Kind(
        "golden retriever",
        "dog",
        (Coat(("golden",), (232, 184, 104), (212, 156, 78), (246, 216, 156), _DARK_EYES),),
        "plain",
        "dog",
        "floppy",
        "plume",
        body=1.06,
        fluff=0.5,
        looks=("fluffy",),
    ),
    Kind(
        "poodle",
        "dog",
        (
            Coat(("white",), (244, 240, 236), (226, 220, 216), (250, 248, 246), _DARK_EYES),
            Coat(("brown",), (150, 98, 68), (128, 80, 54), (168, 114, 82), _DARK_EYES),
            Coat(("black",), (58, 54, 60), (74, 70, 76), (78, 74, 80), _DARK_EYES),
        ),
        "plain",
        "poodle",
        "long",
        "pompon",
        body=0.9,
        fluff=0.8,
        looks=("curly",),
    ),
    Kind(
        "labrador",
        "dog",
        (
            Coat(("black",), (50, 47, 52), (40, 38, 42), (66, 62, 68), (120, 76, 40)),
            Coat(("brown",), (118, 74, 50), (98, 60, 40), (138, 92, 66), (190, 140, 70)),
        ),
        "plain",
        "dog",
        "floppy",
        "whip",
        body=1.04,
    ),
    Kind(
        "pug",
        "dog",
        (Coat(("cream", "black"), (232, 202, 158), (56, 48, 48), (56, 48, 48), _DARK_EYES),),
        "dark-face",
        "flat-dog",
        "button",
        "curl",
        legs=0.62,
        body=1.12,
    ),
    Kind(
        "dachshund",
        "dog",
        (
            Coat(("brown",), (164, 88, 48), (140, 72, 40), (184, 108, 64), _DARK_EYES),
            Coat(("black", "brown"), (52, 46, 48), (178, 108, 60), (178, 108, 60), _DARK_EYES),
        ),
        "bib",
        "dog",
        "long",
        "whip",
        legs=0.4,
        body=0.86,
        length=1.3,
    ),
    Kind(
        "german shepherd",
        "dog",
        (Coat(("brown", "black"), (196, 142, 84), (52, 46, 46), (52, 46, 46), _DARK_EYES),),
        "saddle",
        "dog",
        "upright",
        "plume",
        body=1.02,
        fluff=0.25,
    ),
)

KINDS = {kind.name: kind for kind in (*CATS, *DOGS)}
