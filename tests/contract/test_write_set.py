"""What a write set does, over a real Redis."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from petsearch.adapters.redis import RedisLedger, RedisWriteSet
from petsearch.adapters.redis.celery_queue import CeleryQueue, make_celery
from petsearch.adapters.redis.private_server import PrivateRedis
from petsearch.domain import NewJob
from petsearch.domain.errors import Conflict, NotFound, StorageFull, Unavailable
from petsearch.ports import WriteSetState
from petsearch.reindex import WriteSet
from tests.waiting import in_thread, wait_until

A, B, C = "pets-a", "pets-b", "pets-c"


@pytest.fixture
def store(private_redis: redis.Redis) -> RedisWriteSet:
    return RedisWriteSet(private_redis)


def test_a_redis_without_memory_is_full_and_not_away(tmp_path: Path) -> None:
    server = PrivateRedis(tmp_path / "redis")
    client = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
    store, ledger = RedisWriteSet(client), RedisLedger(client)
    queue = CeleryQueue(make_celery(f"redis+socket://{server.socket_path}"))
    ledger.create(NewJob("job", "test", datetime(2026, 1, 1, tzinfo=UTC)))
    client.config_set("maxmemory", "1")
    writes: list[Callable[[], object]] = [
        lambda: store.begin_write("one", 30),
        lambda: store.change(add=[A], remove=[]),
        lambda: store.hold_writers("one", 30),
        lambda: ledger.create(NewJob("other", "test", datetime(2026, 1, 1, tzinfo=UTC))),
        lambda: ledger.reserve_chunk("job", 1),
        lambda: queue.enqueue_discard("job"),
    ]
    for write in writes:
        with pytest.raises(StorageFull):
            write()
    client.close()
    server.close()


def test_nothing_was_ever_kept(store: RedisWriteSet) -> None:
    assert store.read() == WriteSetState()


def test_the_epoch_grows_with_every_change_and_with_nothing_else(store: RedisWriteSet) -> None:
    assert store.change(add=[A, B], remove=[]) == WriteSetState(1, (A, B))
    assert store.change(add=[B], remove=[C]).epoch == 1
    assert store.change(add=[C], remove=[A]) == WriteSetState(2, (B, C))
    assert store.change(add=[], remove=[B, C]) == WriteSetState(3, ())
    assert store.read() == WriteSetState(3, ())


def test_where_the_alias_was_is_kept_until_that_is_dropped(store: RedisWriteSet) -> None:
    moved_at = datetime(2026, 1, 1, tzinfo=UTC)
    store.change(add=[A, B], remove=[])
    store.note_move(A, moved_at)
    assert store.read() == WriteSetState(1, (A, B), A, moved_at)
    assert store.change(add=[], remove=[A]).previous is None


def test_writers_of_earlier_epochs_are_counted_until_they_end(store: RedisWriteSet) -> None:
    assert store.begin_write("one", 30) == WriteSetState()
    store.change(add=[A, B], remove=[])
    assert store.begin_write("two", 30) == WriteSetState(1, (A, B))
    assert [store.count_writers(epoch) for epoch in (0, 1, 2)] == [0, 1, 2]
    assert store.end_write("one") == 1
    assert store.end_write("one") == 1
    assert [store.count_writers(epoch) for epoch in (1, 2)] == [0, 1]


def test_a_writer_that_died_lapses(store: RedisWriteSet) -> None:
    store.begin_write("dead", 0.05)
    wait_until(lambda: store.count_writers(1) == 0)
    assert store.end_write("dead") == 0


def test_held_writers_wait_and_one_holds_them(store: RedisWriteSet) -> None:
    assert [store.hold_writers("me", 30) for _ in range(2)] == [True, True], "a repeat"
    assert not store.hold_writers("you", 30)
    assert store.begin_write("one", 30) is None
    store.release_writers("you")
    assert store.holds_writers("me")
    assert not store.holds_writers("you")
    store.release_writers("me")
    assert store.begin_write("one", 30) is not None


def test_a_hold_lapses_by_itself(store: RedisWriteSet) -> None:
    store.hold_writers("dead", 0.05)
    wait_until(lambda: not store.holds_writers("dead"))
    assert store.begin_write("one", 30) is not None


def write_each(
    write_set: WriteSet, collection: str, write: Callable[[str], None], *, current_last: bool
) -> None:
    with closing(write_set.each(collection, current_last=current_last)) as writes:
        for each in writes:
            with each as name:
                write(name)


@pytest.mark.parametrize(("current_last", "order"), [(True, [B, A]), (False, [A, B])])
def test_a_write_reaches_all_collections_in_order(
    store: RedisWriteSet,
    current_last: bool,  # noqa: FBT001  # pytest passes it by name
    order: list[str],
) -> None:
    store.change(add=[A, B], remove=[])
    written: list[str] = []
    write_each(WriteSet(store, lambda: A), A, written.append, current_last=current_last)
    assert written == order
    assert store.count_writers(99) == 0


def test_the_current_collection_comes_last_also_if_it_moved(store: RedisWriteSet) -> None:
    store.change(add=[A, B], remove=[])
    written: list[str] = []
    write_each(WriteSet(store, lambda: B), A, written.append, current_last=True)
    assert written == [A, B]


def test_what_comes_into_the_set_during_a_write_is_written_too(store: RedisWriteSet) -> None:
    written: list[str] = []

    def write(name: str) -> None:
        written.append(name)
        store.change(add=[A, {A: B}.get(name, C)], remove=[])

    write_each(WriteSet(store), A, write, current_last=True)
    assert written == [A, B, C]


def test_a_write_that_fails_counts_its_writer_out(store: RedisWriteSet) -> None:
    def write(_: str) -> None:
        raise Unavailable("cut off")

    with pytest.raises(Unavailable, match="cut off"):
        write_each(WriteSet(store), A, write, current_last=True)
    assert store.count_writers(99) == 0


def test_a_collection_that_is_gone_is_passed_over_or_said(store: RedisWriteSet) -> None:
    def gone(name: str) -> None:
        if name == A:
            raise NotFound("There is no collection.")

    with pytest.raises(NotFound):
        write_each(
            WriteSet(store), A, gone, current_last=True
        )  # never in a set: it is the caller's
    store.change(add=[A, B], remove=[])
    write_each(WriteSet(store), B, gone, current_last=True)
    store.change(add=[], remove=[A])
    with pytest.raises(Conflict, match="dropped meanwhile"):
        write_each(WriteSet(store), A, gone, current_last=True)


def test_a_moment_without_writers_comes_when_the_last_has_ended(store: RedisWriteSet) -> None:
    store.begin_write("one", 30)
    moments: list[bool] = []

    def take_one() -> None:
        with WriteSet(store).nobody_writes() as lasts:
            moments.append(lasts())

    thread = in_thread(take_one)
    wait_until(lambda: store.begin_write("two", 30) is None)
    assert moments == []
    store.end_write("one")
    store.end_write("two")
    thread.join(20)
    assert moments == [True]
    write_each(WriteSet(store), A, lambda _: None, current_last=True)
