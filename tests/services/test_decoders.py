"""Decoding in child processes: a bad file costs itself, and nothing else."""

import contextvars
import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import attack_files
from bench.process_usage import resident_bytes
from petsearch.domain import PixelSpec, deadline
from petsearch.domain.errors import (
    DecoderLost,
    InvalidInput,
    NotAnImage,
    Overloaded,
    TooLarge,
    Unavailable,
)
from petsearch.photos import Budget, Decoders, ImageLimits, child_process, decode, to_pixels
from petsearch.photos.copies import copies_of
from petsearch.process_tuning import lower_thread_priority
from tests import hostile, pictures
from tests.decoding import decoders
from tests.processes import has_ended, stat_of
from tests.waiting import wait_until

SLOW = attack_files.run_length_bmp(10_000)
"""Takes many seconds of processor time."""
QUICK = ImageLimits(max_decode_s=0.5)
SPEC = PixelSpec(64, 96)
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the limit of memory, and /proc, are Linux's"
)


@pytest.fixture
def quick() -> Iterator[Decoders]:
    """One process, with little time for a photo."""
    with opened(QUICK) as found:
        yield found


@contextmanager
def opened(limits: ImageLimits, *, most_waiting: int | None = None) -> Iterator[Decoders]:
    """Decoders of one process."""
    found = Decoders(limits, processes=1, most_waiting=most_waiting, niceness=0)
    try:
        yield found
    finally:
        found.close()


def decode_good(found: Decoders) -> None:
    """A good photo is decoded as ever."""
    photo = found.copies(pictures.jpeg(1))
    assert (photo.width, photo.height) == (120, 90)


@contextmanager
def busy_child(found: Decoders, errors: list[Exception]) -> Iterator[int]:
    """The process that decodes a slow photo, once it does; what became of that is in `errors`."""
    decode_good(found)
    (child,) = found.process_ids

    def decode_slow() -> None:
        try:
            found.copies(SLOW)
        except Exception as error:
            errors.append(error)

    used = int(stat_of(child)[11])
    thread = threading.Thread(target=decode_slow)
    thread.start()
    wait_until(lambda: int(stat_of(child)[11]) > used + 10)
    yield child
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("make", hostile.FILES.values(), ids=hostile.FILES)
def test_a_hostile_file_is_refused_with_a_reason(
    make: Callable[[], bytes], quick: Decoders
) -> None:
    with pytest.raises(InvalidInput, match=r"\w+ .*\.$"):
        quick.pixels_and_copies(make(), SPEC)
    decode_good(quick)


def test_pixels_and_copies_are_those_of_this_process() -> None:
    data = pictures.jpeg_with_gps(3)
    here = decode.decode(data, ImageLimits())
    pixels, there = decoders().pixels_and_copies(data, SPEC)
    assert np.array_equal(pixels, to_pixels(here.picture, SPEC))
    assert np.array_equal(pixels, decoders().pixels(data, SPEC))
    assert there == decoders().copies(data)
    assert there.copies == copies_of(here.picture)
    assert (there.width, there.height) == (here.width, here.height)
    assert there.capture == here.capture
    assert there.content_type == here.content_type


def test_a_process_has_the_same_priority_whoever_starts_it() -> None:
    def niceness_of_child() -> int:
        found = Decoders(QUICK, processes=1)
        try:
            decode_good(found)
            (pid,) = found.process_ids
            return os.getpriority(os.PRIO_PROCESS, pid)
        finally:
            found.close()

    with ThreadPoolExecutor(1, initializer=lower_thread_priority) as lowered:
        in_lowered = lowered.submit(niceness_of_child).result()
    here = os.getpriority(os.PRIO_PROCESS, os.getpid())
    assert niceness_of_child() == in_lowered == min(19, here + 10)


def test_a_large_file_is_decoded_from_disk(tmp_path: Path) -> None:
    file = tmp_path / "photo"
    picture = pictures.noise(2200, 1500)
    picture.save(file, "BMP")
    assert file.stat().st_size > 8_000_000
    with file.open("rb") as stream:
        assert np.array_equal(decoders().pixels(stream, SPEC), to_pixels(picture, SPEC))
    assert np.array_equal(decoders().pixels(file.read_bytes(), SPEC), to_pixels(picture, SPEC))


def test_a_file_that_takes_more_memory_than_its_header_says_is_refused(quick: Decoders) -> None:
    # Each of these comments is unpacked, and no estimate knows of them.
    data = hostile.png_of_comments(400)
    decode_good(quick)
    (child,) = quick.process_ids
    with pytest.raises(TooLarge, match="memory"):
        quick.copies(data)
    assert quick.process_ids == {child}
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text())
    assert peak
    assert int(peak[1]) < 250_000
    decode_good(quick)


def test_the_pixels_of_a_photo_that_is_refused_are_freed(quick: Decoders) -> None:
    decode_good(quick)
    (child,) = quick.process_ids
    lost = Image.new("L", (10_000, 10_000))
    data = pictures.encoded(lost, "JPEG")[:3000]
    before = resident_bytes([child])
    with pytest.raises(NotAnImage, match="of its 10000 rows are whole"):
        quick.copies(data)
    assert quick.process_ids == {child}
    assert resident_bytes([child]) - before < 30_000_000


def test_processor_time_is_limited_and_the_next_photo_gets_a_new_process(quick: Decoders) -> None:
    decode_good(quick)
    (child,) = quick.process_ids
    with pytest.raises(TooLarge, match=r"more than 0\.5 s of processor time"):
        quick.copies(SLOW)
    assert has_ended(child)
    decode_good(quick)


@pytest.mark.parametrize(
    ("number", "expected", "reason"),
    [
        (signal.SIGSEGV, NotAnImage, "crashed the decoder .SIGSEGV."),
        (signal.SIGKILL, DecoderLost, "killed"),
    ],
)
def test_a_process_that_dies_costs_one_photo(
    number: signal.Signals, expected: type[Exception], reason: str
) -> None:
    errors = list[Exception]()
    with opened(ImageLimits(max_decode_s=60)) as found:
        with busy_child(found, errors) as child:
            os.kill(child, number)
        assert [type(error) for error in errors] == [expected]
        assert reason.replace(".", "") in str(errors[0]).replace("(", "").replace(")", "")
        decode_good(found)


def test_a_stop_of_the_whole_service_ends_no_process(quick: Decoders) -> None:
    decode_good(quick)
    (child,) = quick.process_ids
    os.kill(child, signal.SIGTERM)
    decode_good(quick)
    assert quick.process_ids == {child}


def test_no_request_waits_for_memory_beyond_its_deadline() -> None:
    budget = Budget(100)

    def ask() -> None:
        deadline.set_current(deadline.Deadline(0.05))
        with pytest.raises(Unavailable, match="in time"), budget.spend(100):
            pass

    with budget.spend(100):
        contextvars.copy_context().run(ask)
    with budget.spend(100):
        pass


def test_a_process_that_was_ended_while_idle_is_replaced(quick: Decoders) -> None:
    decode_good(quick)
    (child,) = quick.process_ids
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: has_ended(child))
    decode_good(quick)


def test_what_stops_ends_busy_processes_and_keeps_the_photo() -> None:
    errors = list[Exception]()
    with opened(ImageLimits(max_decode_s=60)) as found, busy_child(found, errors) as child:
        found.close()
        wait_until(lambda: has_ended(child))
    assert [type(error) for error in errors] == [Unavailable]
    with pytest.raises(Unavailable, match="stopping"):
        found.copies(pictures.jpeg(1))


def test_more_callers_than_may_wait_are_refused() -> None:
    errors = list[Exception]()
    with opened(ImageLimits(max_decode_s=60), most_waiting=0) as found:
        with busy_child(found, errors) as child:
            with pytest.raises(Overloaded) as refused:
                found.copies(pictures.jpeg(1))
            assert refused.value.retry_after_s > 0
            os.kill(child, signal.SIGKILL)
        decode_good(found)


def test_a_process_knows_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETSEARCH_S3_SECRET_KEY", "hidden")
    with opened(QUICK) as found:
        decode_good(found)
        (child,) = found.process_ids
        assert b"PETSEARCH_" not in Path(f"/proc/{child}/environ").read_bytes()


@pytest.mark.parametrize("step", ["Pipe", "start_child"])
def test_a_process_that_cannot_be_started_keeps_no_file_open(
    quick: Decoders, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(child_process, step, fail)
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(2):
        with pytest.raises(Unavailable, match="Too many open files"):
            decode_good(quick)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
    monkeypatch.undo()
    decode_good(quick)


def test_processes_end_with_a_parent_that_is_killed() -> None:
    program = (
        "import json, sys; from petsearch.photos import Decoders, ImageLimits\n"
        "from tests import pictures\n"
        "found = Decoders(ImageLimits(), processes=1)\n"
        "found.copies(pictures.jpeg(1))\n"
        "print(json.dumps([*found.process_ids]), flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    (pid,) = json.loads(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_until(lambda: has_ended(pid))


def test_many_threads_share_few_processes() -> None:
    found = list[int]()

    def decode_some(seed: int) -> None:
        for number in range(5):
            photo = decoders().copies(pictures.jpeg(seed + number, 64 + seed, 48))
            found.append(photo.width - 64 - seed)

    threads = [threading.Thread(target=decode_some, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 40
    assert len(decoders().process_ids) <= decoders().processes
