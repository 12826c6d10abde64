"""Work that does not move is noticed after a while, and only then."""

import threading

from petsearch.app.watchdog import StallCount, watched
from petsearch.ports.work_in_hand import WorkInHand

STALLED_S = 10.0


def looks_until_stalled(count: StallCount, work: WorkInHand, now_s: float) -> int:
    """How often it is looked, every tick, before something has stalled."""
    looks = 1
    while not count.look(work.moves(), now_s):
        now_s += count.tick_s
        looks += 1
        assert looks < 1000
    return looks


def test_what_does_not_move_for_all_ticks_has_stalled() -> None:
    count, work = StallCount(STALLED_S), WorkInHand()
    with work.doing("a"), work.doing("b"):
        assert looks_until_stalled(count, work, 0) == STALLED_S / count.tick_s + 1
        work.moved("b")
        assert count.look(work.moves(), STALLED_S) == ["a"]


def test_what_moves_or_ends_has_not_stalled() -> None:
    count, work = StallCount(STALLED_S), WorkInHand()
    for second in range(100):
        with work.doing("the next one, of the same name"):
            assert not count.look(work.moves(), second)
    with work.doing("one that moves"):
        for second in range(100, 200):
            work.moved("one that moves")
            assert not count.look(work.moves(), second)
    work.moved("one that moves")  # as a thread may say that has not heard of the end
    assert not work.moves()


def test_a_pause_starts_the_count_again_and_a_short_one_is_one_look() -> None:
    count, work = StallCount(STALLED_S), WorkInHand()
    with work.doing("a"):
        for second in range(10):
            assert not count.look(work.moves(), second)
        assert looks_until_stalled(count, work, 1000) == 11
    count = StallCount(STALLED_S)
    with work.doing("a"):
        assert not count.look(work.moves(), 0)
        assert looks_until_stalled(count, work, 5) == 10


def test_the_process_is_ended_by_a_thread_that_looks() -> None:
    work, ended = WorkInHand(), threading.Event()
    found: list[str] = []

    def end(stalled: list[str], stalled_s: float) -> None:
        assert stalled_s == 0.5
        found.extend(stalled)
        ended.set()

    with watched(0.5, work.moves, end), work.doing("a"):
        assert ended.wait(60)
    assert found[0] == "a"


def test_nothing_is_watched_where_it_is_turned_off() -> None:
    before = threading.active_count()
    with watched(0, dict):
        assert threading.active_count() == before
