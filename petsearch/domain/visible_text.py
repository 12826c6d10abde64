"""Text as people see it, without the characters that nobody sees."""

import unicodedata

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
"""They shape the characters between which they stand: emoji, Persian."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks without a glyph, which Unicode does not count as white space."""


def visible_text(text: str) -> str:
    """`text` without control, direction and zero-width characters, in words with single spaces.

    "" if there is nothing to see.
    """
    shown = "".join(" " if c.isspace() else c for c in text if c.isspace() or not _is_unseen(c))
    return " ".join(word for part in shown.split() if (word := part.strip(_JOINERS)))


def is_blank(text: str) -> bool:
    """Whether there is nothing to see."""
    return not visible_text(text)


def _is_unseen(character: str) -> bool:
    if character in _JOINERS:
        return False
    return unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _FILLERS
