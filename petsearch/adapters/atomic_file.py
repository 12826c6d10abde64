"""Files that are there whole or not at all."""

import errno
import functools
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from petsearch.errors import StorageFull, Unavailable

_numbers = itertools.count()


@contextmanager
def translated_disk_errors() -> Iterator[None]:
    """Turn a full disk into `StorageFull` and other disk trouble into `Unavailable`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                "The disk is full; free some space and the work goes on by itself."
            ) from error
        raise Unavailable(f"The disk failed: {error.strerror or error}.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside `path`, then rename over it; parent folders are made.

    Survives the end of the process at any moment. It does not wait for the platter: after a power
    cut the newest files may be missing, never half there.

    Raises:
        StorageFull: no space left; nothing is left behind.
    """
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` at the end, unless an error came before.

    Raises:
        StorageFull: no space left; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{_tag(os.getpid())}{next(_numbers)}")
    with translated_disk_errors():
        try:
            with _create(temporary) as file:
                yield file
            temporary.rename(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@functools.cache
def _tag(process: int) -> str:
    """Tells the temporary files of this process from all others; asking the kernel is slow."""
    return f"{process:x}-{secrets.token_hex(4)}-"


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, 0o640)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o640)
    return os.fdopen(descriptor, "wb")
