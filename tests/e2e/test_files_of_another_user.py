"""A data folder with files of another user: the start names them, and no delete is half done."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from petsearch.adapters.objects import FilesystemStore
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import image_id_of, object_keys, sha256_of
from petsearch.domain.errors import ConfigurationError, Unavailable
from petsearch.file_access import check_data_folder
from tests import pictures
from tests.server import ServerProcess

NOBODY = 65534
SETPRIV = shutil.which("setpriv")
# Reading stays allowed, because Python itself may lie in a folder of root.
AS_NOBODY = (
    *(str(SETPRIV), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)
PHOTO = pictures.jpeg(4711)
IMAGE_ID = image_id_of(sha256_of(PHOTO))

as_root = pytest.mark.skipif(os.geteuid() != 0 or SETPRIV is None, reason="needs root and setpriv")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may change every file")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def served_as_nobody(data_dir: Path) -> ServerProcess:
    return ServerProcess(data_dir, prefix=AS_NOBODY, env={"HOME": str(data_dir.parent)})


def give_to(user: int, *paths: Path) -> None:
    for path in paths:
        os.chown(path, user, user)


def add_photo(client: Client) -> None:
    upload(client, PhotoSource(iter([Photo("rex.jpg", PHOTO, {})]), 1), name="test")


@as_root
def test_a_service_user_is_told_what_root_left_and_what_mends_it(open_folder: Path) -> None:
    data_dir = open_folder / "data"
    server = ServerProcess(data_dir)
    with Client(server.address) as client:
        add_photo(client)
    assert server.stop() == 0
    refused = served_as_nobody(data_dir)
    assert refused.stop() == 1
    (line,) = refused.log.splitlines()
    assert f"petsearch runs as user {NOBODY}, which may not change {data_dir}" in line
    assert line.endswith(f"To mend it, run as root: chown -R {NOBODY}:{NOBODY} {data_dir}")
    give_to(NOBODY, data_dir, *data_dir.rglob("*"))
    (data_dir / "lost+found").mkdir(mode=0o700)  # where the folder is a disk of its own
    mended = served_as_nobody(data_dir)
    with Client(mended.address) as client:
        assert client.image(IMAGE_ID)["filename"] == "rex.jpg"
        client.delete_image(IMAGE_ID)
    assert mended.stop() == 0


@as_root
def test_a_photo_that_cannot_be_deleted_whole_stays_whole(open_folder: Path) -> None:
    data_dir = open_folder / "data"
    data_dir.mkdir()
    give_to(NOBODY, data_dir)
    server = served_as_nobody(data_dir)
    objects = data_dir / "objects"
    with Client(server.address) as client:
        add_photo(client)
        held = sorted(path for path in objects.rglob("*") if path.is_file())
        folder = (objects / object_keys.original(IMAGE_ID)).parent
        give_to(0, folder)
        with pytest.raises(Unavailable, match="Nothing was deleted"):
            client.delete_image(IMAGE_ID)
        assert client.image(IMAGE_ID)["filename"] == "rex.jpg"
        assert client.search("dog")["items"]
        assert sorted(path for path in objects.rglob("*") if path.is_file()) == held
        give_to(NOBODY, folder)
        client.delete_image(IMAGE_ID)
    assert str(folder) in server.log
    assert server.stop() == 0
    assert not [path for path in objects.rglob(f"*{IMAGE_ID}*") if path.is_file()]


@as_root
def test_a_worker_names_the_files_of_its_store(open_folder: Path) -> None:
    (open_folder / "objects/originals").mkdir(parents=True)
    env = {"PETSEARCH_STORE_URL": f"file:{open_folder / 'objects'}", "HOME": str(open_folder)}
    nowhere = "http://127.0.0.1:1"
    env |= {"PETSEARCH_INDEX_URL": nowhere, "PETSEARCH_EMBEDDER_URL": nowhere}
    env |= {"PETSEARCH_REDIS_URL": "redis://127.0.0.1:1"}
    done = subprocess.run(
        [*AS_NOBODY, sys.executable, "-m", "services.worker.main"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **env},
    )
    assert done.returncode == 1
    assert f"may not change {open_folder}/objects, {open_folder}/objects/originals." in done.stderr


@as_user
def test_what_its_own_mode_protects_is_named_and_not_deleted(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "objects")
    key = object_keys.original(IMAGE_ID)
    store.put(key, PHOTO)
    folder = (tmp_path / "objects" / key).parent
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(Unavailable, match="Nothing was deleted"):
            store.check_delete([key])
        with pytest.raises(ConfigurationError, match=f"chmod -R u\\+rwX {tmp_path}"):
            check_data_folder(tmp_path, tmp_path / "objects")
    finally:
        folder.chmod(stat.S_IRWXU)
    check_data_folder(tmp_path, tmp_path / "objects")
    store.check_delete([key])
