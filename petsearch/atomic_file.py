"""Files that are written whole or not at all."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from petsearch.domain.errors import StorageFull, Unavailable
from petsearch.observability import get_logger

log = get_logger(__name__)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise `StorageFull` for a full disk, `Unavailable` for other failures of it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                "The disk is full. Free some space, and the work continues."
            ) from error
        if isinstance(error, PermissionError):
            log.error("no permission for a file of our own", path=error.filename)
            raise Unavailable(
                "The server has no permission for one of its files; its log names the file."
            ) from error
        raise Unavailable(f"The disk failed: {error.strerror or error}.") from error


def write_atomically(path: Path | str, data: bytes, *, is_lasting: bool = False) -> None:
    """Write beside `path`, then rename over it; parent folders are made.

    Survives the end of the process at any moment.

    Args:
        path: of the file.
        data: its content.
        is_lasting: wait for the disk. Otherwise the newest files may be missing, or empty, after a
            power cut.

    Raises:
        StorageFull: no space left; nothing is left behind.
    """
    # Plain calls and strings: with `replacing` a small file took half as long again.
    name = os.fspath(path)
    temporary = _beside(name)
    with disk_errors():
        try:
            _write(_create(temporary), data, is_lasting=is_lasting)
            os.rename(temporary, name)  # noqa: PTH104  # strings: see above
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _write(descriptor: int, data: bytes, *, is_lasting: bool) -> None:
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        if is_lasting:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, *, is_lasting: bool = False) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` at the end, unless an error came before.

    Args:
        path: of the file.
        is_lasting: as for `write_atomically`.

    Raises:
        StorageFull: no space left; nothing is left behind.
    """
    temporary = Path(_beside(str(path)))
    with disk_errors():
        try:
            with os.fdopen(_create(str(temporary)), "wb") as file:
                yield file
                if is_lasting:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _beside(name: str) -> str:
    """An unused name in the folder of `name`; the leading dot hides it from listings."""
    folder, _, last = name.rpartition("/")
    return f"{folder}/.{last}.{secrets.token_hex(8)}"


def _create(name: str) -> int:
    """The descriptor of a new file; parent folders are made."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return os.open(name, flags, 0o640)
    except FileNotFoundError:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        return os.open(name, flags, 0o640)
