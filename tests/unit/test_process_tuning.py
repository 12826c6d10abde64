"""What the process keeps of freed memory, and gives back."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from petsearch.process_tuning import startup_without_gc, usable_cores

_FREE_AND_TRIM = """
import time
from pathlib import Path
from petsearch.process_tuning import trimmed_memory, tune_process

def resident_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024

tune_process()
blocks = [b"x" * 1_000_000 for _ in range(200)]
held = b"x" * 100_000  # above the blocks: the heap cannot just end earlier
del blocks
kept = resident_mb()
with trimmed_memory(every_s=0.01):
    ends = time.monotonic() + 30
    while resident_mb() > kept - 150 and time.monotonic() < ends:
        time.sleep(0.01)
print(kept - resident_mb())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps freed memory; others differ")
def test_kept_memory_goes_back_to_the_kernel_when_it_is_trimmed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FREE_AND_TRIM], check=True, stdout=subprocess.PIPE, text=True
    )
    assert float(done.stdout) > 150


def test_what_a_start_made_is_not_looked_at_by_later_collections() -> None:
    with startup_without_gc():
        assert not gc.isenabled()
        made = [[number] for number in range(1000)]
    try:
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(made)
        assert not any(found is made for found in gc.get_objects())
    finally:
        gc.unfreeze()


def test_a_start_that_fails_leaves_the_collector_at_work() -> None:
    with pytest.raises(ZeroDivisionError), startup_without_gc():
        raise ZeroDivisionError
    assert gc.isenabled()


@pytest.mark.skipif(sys.platform != "linux", reason="others have no control groups")
@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("", {}, 64),
        ("", {"cpu.max": "max 100000"}, 64),
        ("", {"cpu.max": "200000 100000"}, 2),
        ("", {"cpu.max": "150000 100000"}, 2),
        ("", {"cpu.max": "1000 100000"}, 1),
        ("pod/box", {"pod/box/cpu.max": "max 100000", "pod/cpu.max": "400000 100000"}, 4),
        ("pod/box", {"pod/box/cpu.max": "300000 100000", "pod/cpu.max": "400000 100000"}, 3),
        ("../other", {"cpu.max": "200000 100000"}, 2),
        ("", {"cpu.max": "what newer kernels say"}, 64),
        ("", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
        ("", {"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 3),
    ],
)
def test_the_cores_that_containers_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert usable_cores(tmp_path, own) == cores


_OPEN_FILES = """
import resource
from petsearch.process_tuning import allow_open_files
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
allow_open_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
allow_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE), hard)
"""


def test_a_process_may_open_as_many_files_as_it_is_allowed() -> None:
    said = subprocess.run([sys.executable, "-c", _OPEN_FILES], capture_output=True, check=True)
    raised, again, hard, before = map(int, said.stdout.split())
    assert hard == before, "what a process gives up it does not get back"
    assert raised == again == (65_536 if hard < 0 else min(hard, 65_536))
