"""A folder of awkward files by every way in: identical bytes have identical outcomes.

A folder, an archive and a bucket hold files, and what is no photo is left out. A manifest and a
list of URLs name each of theirs, so there it is rejected. Both account for every file by its name.
"""

import csv
import hashlib
import io
import json
import os
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from minio import Minio
from typer.testing import CliRunner

from petsearch.adapters.objects import minio
from petsearch.adapters.objects.s3_reader import S3Reader
from petsearch.adapters.web import UrlFetcher
from petsearch.cli.main import app
from petsearch.domain import ItemStatus, JsonDict, Outcome, object_keys
from petsearch.domain.metadata import safe_filename
from petsearch.sources import SourceContext
from petsearch.sources.opening import open_source
from petsearch.sources.spec import parse_spec
from services.api.app import build_app
from tests import pictures
from tests.app_server import served_app
from tests.awkward_files import NOT_UTF_8, awkward_files
from tests.services.house import House, RecordingQueue, open_house
from tests.web_server import Answer, WebServer, gives

MOST_BYTES = 64 * 1024
"""Of a file whose name does not tell, if it is no photo."""
FILES = {name: data for name, (_, data) in awkward_files().items()}
UNKNOWN = "suffix/blob.xyz"
BY_NAME_NO_PHOTOS = ["junk/.hidden.jpg", "junk/Thumbs.db", "more/clip.mov", "more/album.json"]
BY_NAME_NO_PHOTOS += ["other/drawing.svg", "dates/dated.jpg.json"]
HOLDERS = ("folder", "archive", "s3")
LISTS = ("manifest", "urls")
EMPTY_CELLS: Mapping[tuple[str, str], str] = {
    ("dates/dated.jpg", "manifest"): "a row of a table takes the place of files beside a photo",
    ("dates/dated.jpg", "urls"): "nothing lies beside a URL",
    ("more/inner.zip", "folder"): "it lies beside the photos, and --archive takes it",
}
"""Where a way differs from an archive, and why."""
NO_CELLS: Mapping[tuple[str, str], str] = {
    (NOT_UTF_8, "manifest"): "a table is text, so no cell has the bytes of its name",
    (NOT_UTF_8, "s3"): "keys of S3 are UTF-8",
}
"""What a way cannot bring, and why."""
IN_ZIPS = {"cafΘ.jpg": "caf\ufffd.jpg"}
"""Names that are not UTF-8 are of DOS there."""
THUMBS = "SYNOPHOTO_THUMB_M.jpg"


class Deliveries(RecordingQueue):
    """Wakes the worker when something is queued."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = threading.Event()

    def enqueue_chunk(self, *chunk: Any) -> None:
        super().enqueue_chunk(*chunk)
        self.woken.set()

    def enqueue_enumeration(self, job_id: str) -> None:
        super().enqueue_enumeration(job_id)
        self.woken.set()


@dataclass(frozen=True)
class World:
    """A server with a worker, and what the command line made of its sources."""

    house: House
    address: str
    folder: Path
    s3: Minio
    bucket: str
    web: WebServer

    def ingest(self, *arguments: str) -> tuple[int, JsonDict]:
        """The exit code and the output of `petsearch ingest`."""
        done = CliRunner().invoke(app, ["ingest", *arguments, "--api", self.address, "--json"])
        assert done.stdout, (done.output, done.exception)
        return done.exit_code, json.loads(done.stdout)


def by_folder(world: World, files: Mapping[str, bytes]) -> tuple[str, ...]:
    root = world.folder / uuid.uuid4().hex
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return (str(root),)


def by_archive(world: World, files: Mapping[str, bytes]) -> tuple[str, ...]:
    path = world.folder / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(_RawName(name), data)
    return "--archive", str(path)


class _RawName(zipfile.ZipInfo):
    """An entry whose name has the bytes that it has on the disk."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return os.fsencode(self.filename), self.flag_bits


def by_manifest(world: World, files: Mapping[str, bytes]) -> tuple[str, ...]:
    (root,) = by_folder(world, files)
    text = io.StringIO()
    rows = csv.writer(text, delimiter=";")
    rows.writerows([["sep="], ["Photo", ""], *([f"{root}/{name}", ""] for name in files)])
    path = world.folder / "pets.csv"
    path.write_bytes(text.getvalue().replace("sep=", "sep=;", 1).encode("utf-16"))
    return "--manifest", str(path)


def by_s3(world: World, files: Mapping[str, bytes]) -> tuple[str, ...]:
    prefix = uuid.uuid4().hex
    for name, data in files.items():
        world.s3.put_object(world.bucket, f"{prefix}/{name}", io.BytesIO(data), len(data))
    return "--s3", f"{world.bucket}/{prefix}/"


def by_urls(world: World, files: Mapping[str, bytes]) -> tuple[str, ...]:
    paths = {name: quote(os.fsencode(name)) for name in files}
    world.web.answers |= {f"/{paths[name]}": in_ranges(data) for name, data in files.items()}
    lines = [f"http://photos.org:{world.web.port}/{path}" for path in paths.values()]
    path = world.folder / "urls.txt"
    path.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return "--urls", str(path)


WAYS: Mapping[str, Callable[[World, Mapping[str, bytes]], tuple[str, ...]]] = {
    "folder": by_folder,
    "archive": by_archive,
    "manifest": by_manifest,
    "s3": by_s3,
    "urls": by_urls,
}


def files_by(way: str) -> Mapping[str, bytes]:
    """The files that a way can bring."""
    return {name: data for name, data in FILES.items() if (name, way) not in NO_CELLS}


def in_ranges(body: bytes) -> Answer:
    """An answer that gives a range of bytes where one is asked for."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("range")
        if asked is None or not body:
            gives(200, body)(handler)
            return
        last = min(int(asked.rpartition("-")[2]), len(body) - 1)
        gives(206, body[: last + 1], Content_Range=f"bytes 0-{last}/{len(body)}")(handler)

    return answer


@contextmanager
def world_of(folder: Path, s3_url: str) -> Iterator[World]:
    keys = {"access_key": "testing", "secret_key": "testing-secret"}
    bucket = f"photos-{uuid.uuid4().hex[:8]}"
    client, _ = minio.make_client(f"{s3_url}/{bucket}", **keys)
    client.make_bucket(bucket)
    fetcher = UrlFetcher(resolve=lambda *_: ["127.0.0.1"], is_allowed=lambda _: True)

    def sources(context: SourceContext) -> SourceContext:
        return replace(context, s3=S3Reader(client), import_buckets=(bucket,), urls=fetcher)

    queue = Deliveries()
    with (
        WebServer() as web,
        open_house(folder, queue=queue, sources=sources) as house,
        working(house, queue),
        served_app(build_app(house.services, is_on_loopback=True)) as address,
    ):
        yield World(house, address, folder, client, bucket, web)


@contextmanager
def working(house: House, queue: Deliveries) -> Iterator[None]:
    """Work on what is queued until the block ends."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.is_set():
            queue.woken.wait()
            queue.woken.clear()
            house.run()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        queue.woken.set()
        thread.join()


@dataclass(frozen=True)
class Cell:
    """What became of a file."""

    status: str
    """Of an item, or `left out`."""
    reason: str
    warnings: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    pixels: str = ""
    """A digest of its display copy."""
    taken_at: str = ""


def cell_of(house: House, outcome: Outcome) -> Cell:
    warnings = tuple(f"{w.code} {w.detail.rpartition(': ')[2]}" for w in outcome.warnings)
    reason = "" if outcome.status is ItemStatus.DUPLICATE else outcome.reason or ""
    if outcome.image_id is None:
        return Cell(outcome.status.value, reason, warnings)
    copy = house.store.get(object_keys.display(outcome.image_id))
    record = house.services.images.get(outcome.image_id)
    return Cell(
        outcome.status.value,
        reason,
        warnings,
        (record.width, record.height),
        hashlib.sha256(copy).hexdigest(),
        str(record.taken_at),
    )


@dataclass(frozen=True)
class Column:
    """What a way made of all files."""

    exit_code: int
    cells: Mapping[str, Cell]
    good: tuple[int, JsonDict]
    """Exit code and output for a photo that nothing is wrong with."""
    requests: list[tuple[str, str]]
    """What was asked of the web, and for which bytes."""


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Mapping[str, Column]:
    """Every way, each into an empty catalogue."""
    found = {}
    for name, way in WAYS.items():
        with world_of(tmp_path_factory.mktemp(name), s3_url) as world:
            good = world.ingest(*way(world, {"good.jpg": pictures.jpeg(99)}))
            code, answer = world.ingest(*way(world, files_by(name)))
            cells = {
                IN_ZIPS.get(outcome.filename, outcome.filename): cell_of(world.house, outcome)
                for outcome in world.house.outcomes(answer["job"]["job_id"])
            }
            for entry in answer["left_out"]["names"]:
                # Of a folder, a folder of thumbnails is named as a whole.
                last = safe_filename(entry["name"]).replace("@eaDir", THUMBS)
                cells[last] = Cell("left out", entry["reason"])
            seen = [(path, headers.get("range", "")) for path, headers in world.web.seen]
            found[name] = Column(code, cells, good, seen)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_every_file_is_accounted_for_by_its_name(columns: Mapping[str, Column], way: str) -> None:
    assert len(FILES) >= 40
    assert {kind for kind, _ in awkward_files().values()} == {*range(1, 22)} - {11, 12}
    # Kinds 11 and 12 are the table and the list themselves: UTF-16 with `sep=;`, a BOM and \r\n.
    assert {*columns[way].cells} - {"Photo"} == {*map(safe_filename, files_by(way))}


@pytest.mark.parametrize("name", FILES, ids=ascii)
def test_identical_bytes_have_identical_outcomes(columns: Mapping[str, Column], name: str) -> None:
    expected = columns["archive"].cells[safe_filename(name)]
    for way in WAYS:
        if (name, way) in NO_CELLS:
            assert safe_filename(name) not in columns[way].cells
            continue
        cell = columns[way].cells[safe_filename(name)]
        if (name, way) in EMPTY_CELLS:
            assert cell != expected, f"{EMPTY_CELLS[name, way]}: no longer"
        elif way in LISTS and expected.status == "left out":
            assert (cell.status, bool(cell.reason)) == ("refused", True), (way, cell)
        else:
            assert cell == expected, way


@pytest.mark.parametrize("way", WAYS)
def test_exit_codes_tell_whether_all_photos_are_in(columns: Mapping[str, Column], way: str) -> None:
    code, answer = columns[way].good
    assert (code, answer["job"]["counts"]["ingested"]) == (0, 1)
    assert columns[way].exit_code == 3


def test_what_each_kind_becomes(columns: Mapping[str, Column]) -> None:
    became = {name: columns["archive"].cells[safe_filename(name)] for name in FILES}
    statuses = {name: cell.status for name, cell in became.items()}
    refused = {name for name, status in statuses.items() if status == "refused"}
    assert refused == {
        *("empty.jpg", "damaged/third.jpg", "other/page.jpg", "other/lfs.jpg", "other/video.jpg"),
        "more/inner.zip",
    }
    left_out = {name for name, status in statuses.items() if status == "left out"}
    assert left_out == {
        *BY_NAME_NO_PHOTOS,
        *(f"junk/@eaDir/{THUMBS}", UNKNOWN),
    }
    assert [name for name, status in statuses.items() if status == "duplicate"] == ["twice/b.jpg"]
    warned = {name for name, cell in became.items() if cell.warnings}
    assert warned == {
        *("damaged/hole.jpg", "several/scan.tif", "colour/cut-profile.jpg", "beside/crc.png")
    }


def test_a_url_whose_name_tells_costs_nothing_and_another_one_little(
    columns: Mapping[str, Column],
) -> None:
    asked = columns["urls"].requests
    paths = {path for path, _ in asked}
    assert not paths & {f"/{quote(name)}" for name in BY_NAME_NO_PHOTOS}
    assert [each for each in asked if each[0] == f"/{UNKNOWN}"] == [
        (f"/{UNKNOWN}", f"bytes=0-{MOST_BYTES - 1}")
    ]
    assert [range_ for path, range_ in asked if path == "/colour/p3.jpg"] == [""]


def test_an_object_whose_name_tells_costs_nothing_and_another_one_little(
    tmp_path: Path, s3_url: str
) -> None:
    read: list[tuple[str, int]] = []

    class Counting(S3Reader):
        def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
            read.append((key, max_bytes))
            return super().get(bucket, key, max_bytes=max_bytes)

        def get_head(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
            read.append((key, max_bytes))
            return super().get_head(bucket, key, max_bytes=max_bytes)

    with world_of(tmp_path, s3_url) as world:
        sources = replace(world.house.jobs.sources, s3=Counting(world.s3))
        files = {name: FILES[name] for name in (UNKNOWN, *BY_NAME_NO_PHOTOS[:-1])}
        bucket, _, prefix = by_s3(world, files)[1].partition("/")
        spec = parse_spec({"type": "s3", "bucket": bucket, "prefix": prefix})
        assert len(list(open_source(spec, sources).read(None))) == len(files)
    ((key, most),) = read
    assert key.endswith(UNKNOWN)
    assert most <= MOST_BYTES
