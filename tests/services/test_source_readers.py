"""Reading sources in child processes: a bad file costs its job, and nothing else."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from bench.process_usage import cpu_s
from petsearch.domain.errors import InvalidInput, NotFound, ReaderLost, SourceUnavailable
from petsearch.sources import DatasetOptions, Readers, parse_spec
from petsearch.sources.dataset import DatasetSource
from petsearch.sources.manifest import ManifestSource
from petsearch.sources.reader import READER_BYTES, ConfinedSource, messages
from tests import pictures
from tests.hostile_files import tables, workbooks
from tests.processes import has_ended
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the limit of memory, and /proc, are Linux's"
)

MAX_BYTES = 1_000_000
CSV = b"path,breed,colour,date\n/a/1.jpg,pug,red,1/13/2024\n,,,\n/a/2.jpg,\xff,,2024-02-30\n"
SPEC = '{"type": "manifest", "key": "imports/1/x"}'
ORDER = messages.Order(
    SPEC,
    None,
    counts=False,
    file_bytes=0,
    folder=None,
    import_dirs=(),
    max_bytes=MAX_BYTES,
    most_bytes=READER_BYTES,
    most_s=30.0,
)


def read(data: bytes, readers: Readers | None = None, **limits: float) -> list[object]:
    """The entries of a manifest, and how it ended."""
    order = replace(ORDER, file_bytes=len(data), **limits)  # type: ignore[arg-type]
    return list((readers or Readers()).read(order, io.BytesIO(data)))


def confined(
    spec: Mapping[str, object], data: bytes = b"", *, folder: Path | None = None
) -> ConfinedSource:
    parsed = parse_spec(spec)
    is_manifest = parsed.type == "manifest"
    opened = (lambda: io.BytesIO(data)) if is_manifest else None
    dirs = (str(folder),) if folder else ()
    return ConfinedSource(Readers(), parsed, opened, MAX_BYTES, dirs)  # type: ignore[arg-type]


def variant(name: str, files: Iterator[tuple[str, bytes]]) -> bytes:
    """A hostile file by its name."""
    return next(data for found, data in files if found == name)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A data set of three photos, one of which is larger than allowed."""
    rows = [{"bytes": data, "path": None} for data in (pictures.jpeg(1), bytes(MAX_BYTES + 1))]
    rows.append({"bytes": pictures.jpeg(2), "path": None})
    table = pa.table({"image": pa.array(rows, tables.IMAGE)})
    (tmp_path / "train.parquet").write_bytes(tables.written(table))
    return tmp_path


@pytest.mark.parametrize("cursor", [None, "2:52"])
def test_a_manifest_is_read_as_in_this_process(cursor: str | None) -> None:
    columns = {"colour": "attributes.coat"}
    spec = {"type": "manifest", "key": "imports/1/x", "columns": columns}
    here = ManifestSource(lambda: io.BytesIO(CSV), columns)
    assert list(confined(spec, CSV).read(cursor)) == list(here.read(cursor))


def test_a_data_set_is_read_as_in_this_process(photos: Path) -> None:
    spec = {"type": "dataset", "name": str(photos), "label_column": None}
    source = confined(spec, folder=photos)
    here = list(DatasetSource(str(photos), DatasetOptions(label_column=None)).read(None))
    found = list(source.read(None))
    assert (found[0], found[2]) == (here[0], here[2])
    assert found[1] == replace(here[1], data=None, refusal="It is larger than 1 MB.")
    assert list(source.read("1")) == found[1:]


def test_the_process_that_counts_reads_on(photos: Path) -> None:
    spec = {"type": "dataset", "name": str(photos), "label_column": None, "limit": 2}
    source = confined(spec, folder=photos)
    assert source.count() == 2
    (pid,) = source.readers.process_ids
    entries = source.read(None)
    first = next(entries)
    assert source.readers.process_ids == {pid}
    assert [first, *entries] == list(confined(spec, folder=photos).read(None))
    assert source.readers.process_ids == set()


def test_what_a_source_raises_is_raised_here(photos: Path) -> None:
    with pytest.raises(InvalidInput, match="no header row"):
        read(b",,,\n")
    with pytest.raises(InvalidInput, match="PETSEARCH_IMPORT_DIRS"):
        list(confined({"type": "dataset", "name": str(photos)}, folder=photos / "other").read(None))
    with pytest.raises(NotFound, match="no folder"):
        list(confined({"type": "dataset", "name": "/nowhere"}, folder=photos).read(None))


def test_a_pattern_of_a_library_that_does_not_end_costs_the_job_alone() -> None:
    book = variant("a format of a million brackets", workbooks.xlsxs())
    before = cpu_s([os.getpid()])
    with pytest.raises(InvalidInput, match="more than 1 s of processor time"):
        read(book, most_s=1.0)
    assert cpu_s([os.getpid()]) - before < 5.0


def test_memory_beyond_the_limit_is_refused() -> None:
    book = variant("a million fonts", workbooks.xlsxs())
    with pytest.raises(InvalidInput, match="more than 30 MB of memory"):
        read(book, most_bytes=30_000_000)


@pytest.mark.parametrize(
    ("by", "error", "said"),
    [(signal.SIGKILL, ReaderLost, "killed"), (signal.SIGSEGV, InvalidInput, "SIGSEGV")],
)
def test_a_process_that_dies_costs_its_job(
    by: signal.Signals, error: type[Exception], said: str
) -> None:
    readers = Readers()
    entries = readers.read(replace(ORDER, file_bytes=len(LONG)), io.BytesIO(LONG))
    next(entries)
    (pid,) = readers.process_ids
    os.kill(pid, by)
    with pytest.raises(error, match=said):
        list(entries)
    assert read(CSV, readers) == read(CSV)


LONG = b"path\n" + b"/a/photo.jpg\n" * 20_000
"""More rows than fit between a process and its parent."""


def test_one_more_process_ends_the_one_read_from_longest_ago() -> None:
    readers = Readers(most=2)
    order = replace(ORDER, file_bytes=len(LONG))
    first, second, third = (readers.read(order, io.BytesIO(LONG)) for _ in range(3))
    next(first), next(second), next(first), next(third)
    assert len(list(first)) == len(list(third)) - 1  # of which one more is read
    with pytest.raises(SourceUnavailable, match="Other sources"):
        list(second)
    assert not readers.process_ids


def test_a_process_knows_no_settings_and_ends_with_its_parent() -> None:
    program = (
        "import io, sys; from tests.services.test_source_readers import *\n"
        "readers = Readers()\n"
        "entries = readers.read(replace(ORDER, file_bytes=len(LONG)), io.BytesIO(LONG))\n"
        "next(entries); print(*readers.process_ids, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PETSEARCH_S3_SECRET_KEY": "hidden"},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert b"PETSEARCH_" not in Path(f"/proc/{pid}/environ").read_bytes()
    parent.kill()
    parent.communicate()
    wait_until(lambda: has_ended(pid))
