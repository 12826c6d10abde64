"""Corrects names of breeds in a text: synonyms by a table, misspellings by edit distance.

Only the text changes; what is searched for is said in the answer. A word is taken for a misspelt
name if it begins like it, is long enough, and is no other word of the language that is written
nearly so (`pointer`, `painter`).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import OSA

SYNONYMS: dict[str, str] = {
    "alsatian": "german shepherd",
    "aussie": "australian shepherd",
    "bernese": "bernese mountain dog",
    "bull dog": "bulldog",
    "blue russian": "russian blue",
    "bostie": "boston terrier",
    "chiwawa": "chihuahua",
    "chi wawa": "chihuahua",
    "daschund": "dachshund",
    "dashound": "dachshund",
    "doxie": "dachshund",
    "dobie": "dobermann",
    "doberman": "dobermann",
    "frenchie": "french bulldog",
    "great pyrenean": "great pyrenees",
    "gsd": "german shepherd",
    "jrt": "jack russell terrier",
    "jack russel": "jack russell terrier",
    "lab": "labrador",
    "mainecoon": "maine coon",
    "min pin": "miniature pinscher",
    "moggie": "cat",
    "moggy": "cat",
    "mutt": "dog",
    "newfie": "newfoundland",
    "pom": "pomeranian",
    "pitbull": "american pit bull terrier",
    "pit bull": "american pit bull terrier",
    "pyrenean mountain dog": "great pyrenees",
    "rottie": "rottweiler",
    "sausage dog": "dachshund",
    "scottie": "scottish terrier",
    "sheltie": "shetland sheepdog",
    "shiba": "shiba inu",
    "sibe": "siberian husky",
    "springer": "springer spaniel",
    "st bernard": "saint bernard",
    "staffie": "staffordshire bull terrier",
    "staffy": "staffordshire bull terrier",
    "westie": "west highland white terrier",
    "wiener dog": "dachshund",
    "yorkie": "yorkshire terrier",
}
"""What people say for a breed, and the name that models were taught."""

BREEDS = (
    "afghan hound", "akita", "australian shepherd", "bernese mountain dog", "bichon frise",
    "border collie", "boston terrier", "british shorthair", "bulldog",
    "cavalier king charles spaniel",
    "chow chow", "cocker spaniel", "collie", "corgi", "dachshund", "dalmatian", "devon rex",
    "dobermann", "french bulldog", "german shepherd", "golden retriever", "great dane", "greyhound",
    "husky", "irish setter", "jack russell terrier", "labrador", "labrador retriever",
    "lhasa apso", "maltese", "norwegian forest cat", "papillon", "pekingese", "poodle",
    "rottweiler", "schnauzer", "scottish fold", "shetland sheepdog", "shih tzu", "siberian husky",
    "springer spaniel", "tortoiseshell", "tuxedo cat", "vizsla", "weimaraner",
    "west highland white terrier", "whippet",
)  # fmt: skip
"""Names to correct towards, beside those that the model itself knows."""

_OTHER_WORDS = frozenset(
    [
        "akira",
        "anita",
        "beale",
        "berman",
        "birdman",
        "bower",
        "boxed",
        "boxers",
        "boxes",
        "callie",
        "collide",
        "collier",
        "collin",
        "pavilion",
        "poole",
        "whipped",
    ]
)
"""Words and names of people that are written nearly like a breed: what open_clip's vocabulary of
33,000 words holds of them (tests/unit/test_breed_names.py)."""
_SHORTEST = 5
_LONGEST_NAME_WORDS = 5
_LETTERS_PER_EDIT = 4
_MOST_EDITS = 3
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")


def correct(text: str, known: Iterable[str] = ()) -> str:
    """`text` with the names of breeds as they are written; unchanged where there is nothing to say.

    Args:
        known: names that the model knows, lower case; they are never replaced.
    """
    names = _all_names(tuple(known))
    words = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    pieces: list[str] = []
    at = place = 0
    while place < len(words):
        replaced = _longest_name(text, words[place : place + _LONGEST_NAME_WORDS], names)
        if replaced is None:
            place += 1
            continue
        count, name = replaced
        pieces += [text[at : words[place][0]], name]
        at = words[place + count - 1][1]
        place += count
    return "".join([*pieces, text[at:]])


@dataclass(frozen=True)
class _Names:
    """All names, and those that begin alike and have as many words."""

    all: frozenset[str]
    alike: Mapping[tuple[str, int], tuple[str, ...]]


@lru_cache(maxsize=16)
def _all_names(known: tuple[str, ...]) -> _Names:
    names = frozenset((*known, *BREEDS))
    alike: dict[tuple[str, int], tuple[str, ...]] = {}
    for name in sorted(names):
        key = name[0], name.count(" ")
        alike[key] = (*alike.get(key, ()), name)
    return _Names(names, alike)


def _longest_name(
    text: str, words: Sequence[tuple[int, int]], names: _Names
) -> tuple[int, str] | None:
    """How many words from the first on are a name, and the name."""
    for count in range(len(words), 0, -1):
        given = text[words[0][0] : words[count - 1][1]]
        plain = " ".join(given.lower().split())
        if (name := _name_of(plain, names)) is not None:
            return count, given if name == plain else name
    return None


def _name_of(given: str, names: _Names) -> str | None:
    for form, ending in ((given, ""), (given.removesuffix("s"), "s")):
        if form in names.all:
            return given
        if form in SYNONYMS:
            return SYNONYMS[form] + ending
    return None if given in _OTHER_WORDS else _nearest(given, names)


def _nearest(given: str, names: _Names) -> str | None:
    """The one name within as many edits as its length allows."""
    if len(given) < _SHORTEST:
        return None
    near = []
    for name in names.alike.get((given[0], given.count(" ")), ()):
        allowed = min(len(name) // _LETTERS_PER_EDIT, _MOST_EDITS)
        edits = OSA.distance(given, name, score_cutoff=allowed)
        if edits <= allowed:
            near.append((edits, name))
    return min(near)[1] if near else None
