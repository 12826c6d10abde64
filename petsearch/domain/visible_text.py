"""Text as people see it, without the characters that nobody sees, and as it is compared."""

import unicodedata
from collections.abc import Iterable

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
"""They shape the characters between which they stand: emoji, Persian."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks without a glyph, which Unicode does not count as white space."""
MOST_COMPOSED = 2048
"""Characters of the longest text that is normalised, which can take a time of their square."""
_LONGEST_BLANK = 10_000
"""Characters. More than texts may have: what is longer is left to their limits."""


def visible_text(text: str) -> str:
    """`text` without control, direction and zero-width characters, in words with single spaces.

    "" if there is nothing to see.
    """
    return " ".join(word for part in _seen(text).split() if (word := part.strip(_JOINERS)))


def is_blank(text: str) -> bool:
    """Whether there is nothing to see in a text that is not too long for any field."""
    if len(text) > _LONGEST_BLANK:
        return False
    # Each character once: few are unseen, and looking them up takes longest.
    return all(c.isspace() or c in _JOINERS or _is_unseen(c) for c in set(text))


def is_left_out(name: str, text: str) -> bool:
    """Whether an optional parameter or field says nothing, because nobody can see its value.

    A cursor is not for people: one of unseen characters is damaged, and would start a walk again.
    """
    return not text.strip(" \t") if name == "cursor" else is_blank(text)


def fold(text: str) -> str:
    """A tag, or a name or value of an attribute, as it is compared: `  Very  SHY` is `very shy`.

    Equal for texts that differ in case, in spaces, in characters that nobody sees, and in whether
    accents are composed: Unicode's canonical caseless matching (D145) of `visible_text`, in NFC.
    """
    decomposed = unicodedata.normalize("NFD", visible_text(text))
    return unicodedata.normalize("NFC", decomposed.casefold())


def distinct(words: Iterable[str]) -> tuple[str, ...]:
    """Words in order, each in the spelling in which it comes first."""
    spellings: dict[str, str] = {}
    for word in words:
        spellings.setdefault(fold(word), word)
    return tuple(spellings.values())


def _seen(text: str) -> str:
    if text.isprintable() and _FILLERS.isdisjoint(text):  # as nearly all of them
        return text
    return "".join(" " if c.isspace() else c for c in text if c.isspace() or not _is_unseen(c))


def _is_unseen(character: str) -> bool:
    if character in _JOINERS:
        return False
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _FILLERS
