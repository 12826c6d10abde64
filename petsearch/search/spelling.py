"""Corrects the names of breeds in the texts of a query, and says so."""

from collections.abc import Sequence

from petsearch.domain import Label
from petsearch.search import breed_names
from petsearch.search.query import Query, TextPart


def spelled(query: Query, labels: Sequence[Label]) -> Query:
    """With the names of breeds in its texts corrected, unless that is turned off."""
    if query.spelling == "off":
        return query
    known = tuple(dict.fromkeys(name for label in labels for name in (label.breed, label.species)))
    return query.with_texts(lambda text: breed_names.correct(text, known))


def searched_for(asked: Query, searched: Query) -> str | None:
    """The texts as they were searched for, if a correction was made."""
    if asked == searched:
        return None
    texts = [entry.part.text for entry in searched.positive if isinstance(entry.part, TextPart)]
    less = [entry.part.text for entry in searched.negative if isinstance(entry.part, TextPart)]
    return ", ".join([*texts, *(f"not {text}" for text in less)])
