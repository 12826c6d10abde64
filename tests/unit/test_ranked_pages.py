"""Walks over ranked results: no repeats, a depth cap, groups, and cursors that are checked."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from petsearch.domain import Filters, Hit, ImageRecord, UnknownName
from petsearch.domain.errors import Conflict, InvalidInput
from petsearch.search.order import in_order
from petsearch.search.pages import MAX_DEPTH, Rank, Walk, next_page, resume
from petsearch.search.query import SearchOptions
from tests.contract.records import record

QUESTION = b"123456"


def hits(count: int, animals: int | None = None) -> list[Hit]:
    """Falling scores; each of `animals` has every so-manieth photo."""
    made = []
    for number in range(count):
        metadata = record(number).metadata
        if animals:
            metadata = replace(metadata, animal_id=f"animal {number % animals}")
        made.append(Hit(replace(record(number), metadata=metadata), 1 - number / count))
    return made


def ranking(of: Sequence[Hit]) -> Rank:
    return lambda *, limit: of[:limit]


def walk_all(rank: Rank, *, limit: int, by_animal: bool = False) -> list[Hit]:
    cursor: str | None = None
    seen: list[Hit] = []
    while True:
        walk = resume(cursor, "model-1", QUESTION)
        page = next_page(rank, walk, limit, by_animal=by_animal)
        assert len(page.hits) <= limit
        seen += page.hits
        cursor = page.next_cursor
        if cursor is None:
            return seen


@pytest.mark.parametrize("limit", [1, 7, 10, 100])
def test_a_walk_shows_everything_once_in_order(limit: int) -> None:
    every = hits(50)
    assert walk_all(ranking(every), limit=limit) == every


def test_a_walk_ends_at_its_depth() -> None:
    assert len(walk_all(ranking(hits(MAX_DEPTH + 50)), limit=90)) == MAX_DEPTH


def test_nothing_is_shown_twice_while_photos_come_and_go() -> None:
    rng = random.Random(0)
    every = hits(120)

    def changing(*, limit: int) -> list[Hit]:
        present = [hit for hit in every if rng.random() < 0.8]
        rng.shuffle(present)
        return present[:limit]

    shown = [hit.record.image_id for hit in walk_all(changing, limit=9)]
    assert len(shown) == len(set(shown)) > 50


def test_a_group_is_shown_once_by_its_best_photo() -> None:
    every = hits(200, animals=30)
    assert walk_all(ranking(every), limit=7, by_animal=True) == every[:30]


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_group_has_its_best_photo_in_another_order_too(limit: int) -> None:
    # The best photos are also the oldest.
    every = hits(200, animals=30)
    rank = in_order(ranking(every), SearchOptions(sort="created_at", group_by="animal"))
    assert walk_all(rank, limit=limit, by_animal=True) == every[29::-1]


def test_a_group_of_very_many_photos_does_not_hide_the_next() -> None:
    crowd = [replace(hit, record=_of_animal(hit, "rex")) for hit in hits(500)]
    last = [replace(hits(501)[-1], record=_of_animal(hits(501)[-1], "mia"))]
    assert len(walk_all(ranking([*crowd, *last]), limit=1, by_animal=True)) == 2


def test_a_photo_without_an_animal_stands_for_itself() -> None:
    every = hits(5)
    assert walk_all(ranking(every), limit=2, by_animal=True) == every


def test_photos_of_one_moment_come_newest_first_to_the_microsecond() -> None:
    of = hits(9)
    first = of[0].record.created_at
    times = [first + timedelta(microseconds=number) for number in range(9)]
    of = [
        replace(hit, record=replace(hit.record, created_at=time))
        for hit, time in zip(of, times, strict=True)
    ]
    rank = in_order(ranking(of), SearchOptions(sort="created_at"))
    assert [hit.record.created_at for hit in walk_all(rank, limit=4)] == times[::-1]


def test_a_cursor_of_another_model_is_a_conflict() -> None:
    cursor = Walk("model-1", QUESTION).to_cursor()
    with pytest.raises(Conflict, match=r"model-1.*model-2"):
        resume(cursor, "model-2", QUESTION)


def test_a_cursor_of_another_search_is_refused() -> None:
    cursor = Walk("model-1", QUESTION).to_cursor()
    with pytest.raises(InvalidInput, match="another search"):
        resume(cursor, "model-1", b"654321")


@pytest.mark.parametrize("cursor", ["x", "", "AQ", "/" * 40, "A" * 4000, "ä", "AQL_" * 9, "AQA"])
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        resume(cursor, "model-1", QUESTION)


def test_the_longest_cursor_fits_into_an_address() -> None:
    walk = Walk("m" * 60, QUESTION, tuple(n.to_bytes(5) for n in range(899)))
    cursor = next_page(ranking(hits(1100)), walk, 100, by_animal=False).next_cursor
    assert cursor is not None
    assert len(cursor) < 8000


def _of_animal(hit: Hit, name: str) -> ImageRecord:
    return replace(hit.record, metadata=replace(hit.record.metadata, animal_id=name))


def test_filters_with_unknown_names_have_an_order() -> None:
    names = (UnknownName("species", "cta", "cat"), UnknownName("breed", "pgu"))
    one, other = Filters(unknown=names), Filters(unknown=names[::-1])
    assert one.in_order() == other.in_order()
