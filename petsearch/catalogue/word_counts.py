"""Counts tags and attributes: their spellings together, under the most frequent of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from petsearch.domain import Filters, fold, fold_attribute
from petsearch.ports import IndexReader


def tag_counts(index: IndexReader, collection: str, filters: Filters) -> dict[str, int]:
    """Return how many images there are per tag, most frequent first."""
    written = index.facet(collection, "tags", filters)
    spellings = _by_folded((fold(tag), tag, count) for tag, count in written.items())
    if len(spellings) == len(written):
        return written
    # Not their sum, because an image may have two spellings of a tag.
    counts = index.facet(collection, "folded.tags", filters)
    return {_shown(spellings[tag]) or tag: count for tag, count in counts.items()}


def attribute_counts(
    index: IndexReader, collection: str, filters: Filters, name: str = ""
) -> dict[str, int]:
    """Return how many images there are per `name=value`, most frequent first.

    Args:
        name: of the attribute whose values are counted, if it is one.
    """
    start = fold_attribute(f"{name}=") if name else ""
    # Their sum: the index takes seconds to count attributes where each photo has its own.
    spellings = _by_folded(
        (folded, words.partition("=")[2] if name else words, count)
        for words, count in index.facet(collection, "attributes_list", filters).items()
        if (folded := fold_attribute(words)).startswith(start)
    )
    counts = Counter({folded: spelt.total() for folded, spelt in spellings.items()})
    return {_shown(spellings[one]) or "": count for one, count in counts.most_common()}


def _by_folded(rows: Iterable[tuple[str, str, int]]) -> defaultdict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for folded, spelling, count in rows:
        found[folded][spelling] += count
    return found


def _shown(spellings: Counter[str]) -> str | None:
    """The most frequent one; of equals always the same."""
    return min(spellings, key=lambda word: (-spellings[word], word), default=None)
