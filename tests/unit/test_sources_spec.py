"""What a client may ask a job to read, and what is said where that is off."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from petsearch.adapters.objects import FilesystemStore
from petsearch.app.connections import source_context
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound, TooLarge
from petsearch.settings import Settings
from petsearch.sources import SourceContext, SourceItem, open_source, parse_spec
from petsearch.sources.s3_prefix import BucketObject
from tests.sources import items_of


class Buckets:
    """A `BucketReader` over a dictionary."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = objects

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        assert bucket == "pets"
        for key, data in sorted(self.objects.items()):
            if key.startswith(prefix) and key > (start_after or ""):
                yield BucketObject(key, len(data))

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        assert bucket == "pets"
        if len(self.objects[key]) > max_bytes:
            raise TooLarge("too large")
        return self.objects[key]

    def get_head(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        return self.get(bucket, key, max_bytes=10**9)[:max_bytes]


class Web:
    """A `Fetcher` that gives the address back."""

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        return origin.encode()[:max_bytes]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder that jobs may read, with an archive, a manifest and a photo in it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("1.jpg", b"one")
    (folder / "a.csv").write_text("Bild\n1.jpg\n")
    (folder / "1.jpg").write_bytes(b"one")
    return folder


@pytest.fixture
def closed(tmp_path: Path) -> SourceContext:
    """As a server is that nobody set anything on."""
    return SourceContext(store=FilesystemStore(tmp_path / "store"))


@pytest.fixture
def context(tmp_path: Path, photos: Path) -> SourceContext:
    return SourceContext(
        store=FilesystemStore(tmp_path / "store"),
        import_dirs=(photos,),
        import_buckets=("pets",),
        s3=Buckets(**{"cats/1.jpg": b"cat", "dogs/1.jpg": b"dog"}),
        urls=Web(),
        max_bytes=1000,
    )


def read(given: Any, context: SourceContext) -> list[SourceItem]:
    return items_of(open_source(parse_spec(given), context))


def test_each_kind_is_opened_and_fetched_from(context: SourceContext, photos: Path) -> None:
    context.store.put("imports/j/b.zip", (photos / "a.zip").read_bytes())
    context.store.put("imports/j/b.jsonl", b'{"key": "pets/dogs/1.jpg"}\n')

    def bytes_of(given: dict[str, Any]) -> list[bytes]:
        return [
            item.data or context.fetch(str(item.origin), max_bytes=1000)
            for item in read(given, context)
        ]

    assert bytes_of({"type": "archive", "path": f"{photos}/a.zip"}) == [b"one"]
    assert bytes_of({"type": "archive", "key": "imports/j/b.zip"}) == [b"one"]
    manifest = {"type": "manifest", "path": f"{photos}/a.csv", "columns": {"Bild": "path"}}
    assert bytes_of(manifest) == [b"one"]
    assert bytes_of({"type": "manifest", "key": "imports/j/b.jsonl"}) == [b"dog"]
    assert bytes_of({"type": "s3", "bucket": "pets", "prefix": "cats/"}) == [b"cat"]
    assert bytes_of({"type": "urls", "urls": ["http://a.org/1"]}) == [b"url:http://a.org/1"]


def test_a_list_of_addresses_is_read_on_from_any_cursor(context: SourceContext) -> None:
    urls = [f"http://a.org/{n}.jpg" for n in range(4)]
    source = open_source(parse_spec({"type": "urls", "urls": urls}), context)
    whole = items_of(source)
    assert [item.metadata.filename for item in whole] == [f"{n}.jpg" for n in range(4)]
    assert source.count() == 4
    for position, item in enumerate(whole):
        assert items_of(source, item.cursor) == whole[position + 1 :]


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"type": "urls", "urls": ["http://a.org/1.jpg"]}, "PETSEARCH_URL_INGEST"),
        ({"type": "s3", "bucket": "pets"}, "run petsearch as services"),
        ({"type": "archive", "path": "/etc/passwd"}, "PETSEARCH_IMPORT_DIRS"),
        ({"type": "manifest", "path": "/etc/passwd"}, "PETSEARCH_IMPORT_DIRS"),
        ({"type": "dataset", "name": "/etc"}, "PETSEARCH_IMPORT_DIRS"),
    ],
)
def test_what_is_off_is_refused_with_the_setting_that_allows_it(
    closed: SourceContext, given: dict[str, Any], setting: str
) -> None:
    with pytest.raises(InvalidInput, match=setting):
        open_source(parse_spec(given), closed)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("url:http://a.org/", "PETSEARCH_URL_INGEST"),
        ("s3:pets/1.jpg", "run petsearch as services"),
        ("file:/etc/passwd", "PETSEARCH_IMPORT_DIRS"),
        ("ftp:a", "not an origin"),
    ],
)
def test_what_is_off_is_not_fetched_either(closed: SourceContext, origin: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        closed.fetch(origin, max_bytes=10)


def test_another_bucket_is_refused(context: SourceContext) -> None:
    with pytest.raises(InvalidInput, match="PETSEARCH_IMPORT_BUCKETS"):
        open_source(parse_spec({"type": "s3", "bucket": "petsearch"}), context)


@pytest.mark.parametrize("name", ["imagefolder/../..", ".", "..", "a/b/c", "hf://a/b", "~"])
def test_a_data_set_is_a_hub_name_or_an_allowed_folder(context: SourceContext, name: str) -> None:
    with pytest.raises(InvalidInput):
        open_source(parse_spec({"type": "dataset", "name": name}), context)


def test_a_name_that_is_a_folder_here_is_not_taken_for_a_hub_name(
    context: SourceContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner/pets").mkdir(parents=True)
    spec = parse_spec({"type": "dataset", "name": "owner/pets"})
    open_source(spec, context)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInput):
        open_source(spec, context)


def test_files_that_are_not_there_are_said_at_once(context: SourceContext, photos: Path) -> None:
    for given in ({"path": f"{photos}/absent"}, {"key": "imports/j/absent"}):
        for kind in ("archive", "manifest"):
            with pytest.raises(NotFound):
                open_source(parse_spec({"type": kind, **given}), context)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "type"),
        ({"type": "ftp"}, "archive"),
        ({"type": "archive"}, "either path or key"),
        ({"type": "archive", "path": "/a", "key": "imports/a"}, "either path or key"),
        ({"type": "archive", "key": "originals/aa/1"}, "imports/"),
        ({"type": "urls", "urls": []}, "urls"),
        ({"type": "urls", "urls": ["http://a"] * 10_001}, "urls"),
        ({"type": "urls", "urls": ["http://a"], "depth": 3}, "depth"),
        ({"type": "dataset", "name": "a/b", "limit": 0}, "limit"),
        ("not json", "source"),
    ],
)
def test_what_is_no_source_is_said_by_field(given: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_spec(given)


def test_keys_do_not_climb_out_of_the_imports(context: SourceContext) -> None:
    with pytest.raises(InvalidInput):
        open_source(parse_spec({"type": "archive", "key": "imports/../originals/x"}), context)


def test_a_specification_survives_being_written_down() -> None:
    for given in (
        {"type": "manifest", "key": "imports/j/a", "columns": {"a": "path", "b": None}},
        {"type": "dataset", "name": "a/b", "label_column": None},
    ):
        spec = parse_spec(given)
        assert parse_spec(spec.model_dump_json()) == spec


def test_the_settings_choose_what_sources_are_read_with(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    alone = source_context(Settings(store_url=f"file:{tmp_path}"), store)
    assert (alone.s3, alone.urls, alone.import_dirs) == (None, None, ())
    settings = Settings(
        store_url="s3+http://127.0.0.1:9/petsearch",
        s3_access_key="key",
        s3_secret_key=SecretStr("secret"),
        import_buckets=("pets",),
        import_dirs=(tmp_path,),
        url_ingest=True,
    )
    context = source_context(settings, store)
    assert context.urls is not None
    assert context.max_bytes == settings.limits.image_bytes
    open_source(parse_spec({"type": "s3", "bucket": "pets"}), context)


def test_the_settings_are_closed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.from_environment()
    assert (settings.import_dirs, settings.import_buckets, settings.url_ingest) == ((), (), False)
    monkeypatch.setenv("PETSEARCH_IMPORT_DIRS", '["/photos"]')
    monkeypatch.setenv("PETSEARCH_IMPORT_BUCKETS", '["pets"]')
    monkeypatch.setenv("PETSEARCH_URL_INGEST", "1")
    settings = Settings.from_environment()
    assert settings.import_dirs == (Path("/photos"),)
    assert (settings.import_buckets, settings.url_ingest) == (("pets",), True)


def test_a_list_that_is_not_json_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETSEARCH_IMPORT_DIRS", "/photos")
    with pytest.raises(
        ConfigurationError, match=r"PETSEARCH_IMPORT_DIRS is '/photos': .* JSON list"
    ):
        Settings.from_environment()
