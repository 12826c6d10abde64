"""CLIP's byte pair encoding of words, in bounded memory and nearly linear time.

open_clip's own keeps every word that it ever read, and its time grows with the square of a length.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush

from petsearch.adapters.clip.library import open_clip

_KEPT_WORDS = 4096
"""The most recent ones. Of ordinary lengths they take 1 MB."""
_END = "</w>"
"""Ends the last symbol of a word."""

Ranks = Mapping[tuple[str, str], int]
"""Pairs of symbols, by when the vocabulary learned to merge them."""


def bound_words(tokenizer: object) -> None:
    """Give a tokenizer of open_clip this encoding in place of its own; others have none."""
    if isinstance(tokenizer, open_clip.SimpleTokenizer):
        special = [tokenizer.decoder[token] for token in tokenizer.all_special_ids]
        tokenizer.bpe = _encoding(tokenizer.bpe_ranks, frozenset(special))


def _encoding(ranks: Ranks, special: frozenset[str]) -> Callable[[str], str]:
    @lru_cache(_KEPT_WORDS)
    def encode(word: str) -> str:
        return word if word in special else " ".join(merged(word, ranks))

    return encode


def merged(word: str, ranks: Ranks) -> list[str]:
    """The symbols of a word of one letter or more.

    Of all pairs of neighbours the one learned first is merged, and the leftmost of equals. A merged
    symbol is in pairs that were learned later alone, so the order is that of open_clip, which
    merges all equal pairs before it looks for the next.
    """
    symbols = [*word[:-1], word[-1] + _END]  # "" where one was merged into an earlier one
    count = len(symbols)
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))

    def candidate(left: int, right: int) -> list[tuple[int, int, tuple[str, str]]]:
        pair = (symbols[left], symbols[right])
        return [(ranks[pair], left, pair)] if pair in ranks else []

    candidates = [found for right in range(1, count) for found in candidate(right - 1, right)]
    heapify(candidates)
    while candidates:
        _, left, pair = heappop(candidates)
        right = after[left]
        if right == count or (symbols[left], symbols[right]) != pair:
            continue  # one of the two was merged with another
        symbols[left], symbols[right] = "".join(pair), ""
        after[left] = after[right]
        changed = candidate(before[left], left) if left else []
        if after[left] < count:
            before[after[left]] = left
            changed += candidate(left, after[left])
        for found in changed:
            heappush(candidates, found)
    return [symbol for symbol in symbols if symbol]
