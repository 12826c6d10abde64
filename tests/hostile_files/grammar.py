"""What is done to a good file of any format: numbers that lie, and parts cut off, repeated, lost.

A format tells where its parts and its numbers are (`Sample`); all the rest holds for each of them.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Literal

Variant = tuple[str, bytes]
"""What was done to a file, and the file."""
Order = Literal["big", "little"]

_LIES = (0, 1, 2**31 - 1, 2**32 - 1)
_REPEATS = (2, 3000)
_MOST_BYTES = 1_000_000
"""Of a file with a part that is repeated."""


@dataclass(frozen=True)
class Number:
    """A size, a count or an offset that the file states."""

    at: int
    size: int
    order: Order
    name: str


@dataclass(frozen=True)
class Part:
    """A segment, chunk, block or box: all bytes from `start` to `end`."""

    start: int
    end: int
    name: str


@dataclass(frozen=True)
class Sample:
    """A good file, and what its grammar says of it."""

    data: bytes
    parts: Sequence[Part]
    numbers: Sequence[Number]
    seal: Callable[[bytes], bytes] = bytes
    """Makes checksums right again, so that a reader gets beyond them."""


def variants(sample: Sample, count: int, rng: random.Random) -> list[Variant]:
    """So many bad files, of each kind about as many."""
    kinds = [list(kind(sample)) for kind in (_lies, _loops, _cuts, _repeats, _losses)]
    for kind in kinds:
        rng.shuffle(kind)
    turns = chain.from_iterable(zip_longest(kinds[0], *kinds[1:]))
    found = {data: name for name, data in filter(None, turns) if data != sample.data}
    return [(name, data) for data, name in found.items()][:count]


def _lies(sample: Sample) -> Iterator[Variant]:
    for number in sample.numbers:
        for value in _LIES:
            kept = value & (1 << 8 * number.size) - 1
            yield f"{number.name} is {kept}", _with(sample, number, kept)


def _loops(sample: Sample) -> Iterator[Variant]:
    """Numbers that are places of the file: offsets that lead to where they stand, or back."""
    for number in sample.numbers:
        if number.size >= 4:
            yield f"{number.name} leads to itself", _with(sample, number, number.at)


def _cuts(sample: Sample) -> Iterator[Variant]:
    for part in sample.parts:
        yield f"cut before {part.name}", sample.data[: part.start]
        yield f"cut in {part.name}", sample.data[: (part.start + part.end) // 2]


def _repeats(sample: Sample) -> Iterator[Variant]:
    for part in sample.parts:
        body = sample.data[part.start : part.end]
        for times in _REPEATS:
            times = max(2, min(times, _MOST_BYTES // max(1, len(body))))
            made = sample.data[: part.end] + (times - 1) * body + sample.data[part.end :]
            yield f"{part.name} {times} times", sample.seal(made)


def _losses(sample: Sample) -> Iterator[Variant]:
    for part in sample.parts:
        made = sample.data[: part.start] + sample.data[part.end :]
        yield f"no {part.name}", sample.seal(made)


def _with(sample: Sample, number: Number, value: int) -> bytes:
    written = value.to_bytes(number.size, number.order)
    end = number.at + number.size
    return sample.seal(sample.data[: number.at] + written + sample.data[end:])
