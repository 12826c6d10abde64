"""Which files of the server's machine a job may read."""

import os
import unicodedata
from pathlib import Path

import pytest

from petsearch.domain.errors import InvalidInput, NotFound, TooLarge
from petsearch.sources.import_folders import ImportFolders


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """A folder that may be read, beside one that may not."""
    for name in ("allowed/deep", "allowed-not", "secret"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "allowed/deep/a.jpg").write_bytes(b"photo")
    for name in ("allowed-not/a.jpg", "secret/a.jpg"):
        (tmp_path / name).write_bytes(b"secret")
    return tmp_path / "allowed"


def fetch(folder: Path, path: object, max_bytes: int = 100) -> bytes:
    return ImportFolders([folder]).fetch(f"file:{path}", max_bytes=max_bytes)


def test_files_below_an_allowed_folder_are_read(allowed: Path) -> None:
    assert fetch(allowed, allowed / "deep/a.jpg") == b"photo"
    assert fetch(allowed, f"{allowed}/deep/../deep/a.jpg") == b"photo"


def test_links_inside_are_followed_also_to_the_folder_itself(allowed: Path) -> None:
    (allowed / "link.jpg").symlink_to(allowed / "deep/a.jpg")
    other_name = allowed.parent / "other"
    other_name.symlink_to(allowed)
    assert fetch(allowed, allowed / "link.jpg") == b"photo"
    assert fetch(other_name, allowed / "deep/a.jpg") == b"photo"


@pytest.mark.parametrize(
    "path",
    [
        *("{}/../secret/a.jpg", "{}/link/a.jpg", "{}/link.jpg", "{}-not/a.jpg", "/etc/passwd"),
        *("{}/../secret/absent.jpg", "deep/a.jpg", "", "~/a.jpg", "{}/deep/a.jpg\0", "{}/circle"),
    ],
)
def test_no_path_leads_out(allowed: Path, path: str) -> None:
    (allowed / "link").symlink_to(allowed.parent / "secret")
    (allowed / "link.jpg").symlink_to(allowed.parent / "secret/a.jpg")
    (allowed / "circle").symlink_to(allowed / "circle")
    with pytest.raises(InvalidInput):
        fetch(allowed, path.format(allowed))


def test_without_folders_nothing_is_read_and_the_setting_is_named(allowed: Path) -> None:
    with pytest.raises(InvalidInput, match="PETSEARCH_IMPORT_DIRS"):
        ImportFolders([]).fetch(f"file:{allowed}/deep/a.jpg", max_bytes=10)


COMPOSED = unicodedata.normalize("NFC", "Épagneul/Zoë.jpg")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


@pytest.mark.parametrize(
    ("on_disk", "asked"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)], ids=["NFC", "NFD"]
)
def test_accents_may_be_composed_or_not(allowed: Path, on_disk: str, asked: str) -> None:
    file = allowed / on_disk
    file.parent.mkdir()
    file.write_bytes(b"photo")
    assert fetch(allowed, f"{allowed}/{asked}") == b"photo"


def test_what_is_not_there_is_not_found(allowed: Path) -> None:
    with pytest.raises(NotFound):
        fetch(allowed, allowed / "absent.jpg")


def test_what_is_no_file_is_refused_without_waiting(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe.jpg")
    with pytest.raises(InvalidInput):
        fetch(allowed, allowed / "pipe.jpg")
    with pytest.raises(InvalidInput, match="folder"):
        fetch(allowed, allowed / "deep")


def test_what_is_refused_is_closed(allowed: Path) -> None:
    os.mkfifo(allowed / "pipe.jpg")
    before = len([*Path("/dev/fd").iterdir()])
    for name in ("deep", "pipe.jpg", "absent.jpg"):
        with pytest.raises((InvalidInput, NotFound)):
            fetch(allowed, allowed / name)
    assert len([*Path("/dev/fd").iterdir()]) == before


def test_a_file_is_not_read_further_than_allowed(allowed: Path) -> None:
    with (allowed / "huge.jpg").open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(TooLarge):
        fetch(allowed, allowed / "huge.jpg", max_bytes=1000)
    assert len(fetch(allowed, allowed / "deep/a.jpg", max_bytes=5)) == 5
