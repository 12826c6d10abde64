"""Room on the disk of a data folder, and a reserve.

The reserve is given up so that a server whose disk is full can still start and delete.

The index writes into mapped files. Where the disk has no block left for one, the kernel ends the
process, so changes are refused before that, and the reserve is what starting and deleting take.
"""

import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from petsearch.domain.errors import PetsearchError, StorageFull
from petsearch.observability import get_logger

log = get_logger(__name__)

ROOM_BYTES = 34_000_000
"""What a change may take at once: new segments of the index and of its log."""
RESERVE_BYTES = 48_000_000
NEW_INDEX_BYTES = 256 * 1024 * 1024
"""What a new collection takes where files cannot have holes."""
_DELETE_BYTES = 8_000_000
"""With less than this, a delete is made with the reserve."""


class DiskRoom:
    """The free space of a data folder. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reserve = folder / "reserve"
        self._changing = threading.Lock()
        self.unmapped: dict[str, int] = {}
        """What each collection takes, in bytes, to be written at all, while it cannot be."""
        self._waiting: list[Callable[[], None]] = []

    def free_bytes(self) -> int:
        """What is free for this process."""
        folder = self._folder if self._folder.exists() else self._folder.parent
        return shutil.disk_usage(folder).free

    @property
    def unmapped_bytes(self) -> int:
        """What all collections that cannot be written take together."""
        return sum(tuple(self.unmapped.values()))

    def lacking_bytes(self, at_least: int = ROOM_BYTES) -> int:
        """What has to be freed before changes are taken again; 0 while they are."""
        missing = 0 if self._reserve.exists() else RESERVE_BYTES
        return max(0, max(at_least, self.unmapped_bytes) + missing - self.free_bytes())

    def check(self, at_least: int = ROOM_BYTES) -> None:
        """Check that there is room for a change.

        Raises:
            StorageFull: there is not; the message says how much to free.
        """
        if lacking := self.lacking_bytes(at_least):
            raise StorageFull(
                f"The server's disk is full: free {math.ceil(lacking / 1e6)} MB; waiting work "
                "then resumes by itself."
            )

    def keep_reserve(self) -> None:
        """Make the reserve if it is missing and there is room for it."""
        with self._changing, suppress(OSError):
            if self._reserve.exists() or self.lacking_bytes():
                return
            making = self._reserve.with_suffix(".making")
            with making.open("wb") as file:
                _allocate(file.fileno(), RESERVE_BYTES)
            making.rename(self._reserve)

    def call_when_free(self, waiting: Callable[[], None]) -> None:
        """Call it from `tend`, once there is room again."""
        self._waiting.append(waiting)

    def tend(self) -> None:
        """Make the reserve again and do what waits for room, if there is room.

        What fails is logged and tried again by the next call.
        """
        self.keep_reserve()
        for waiting in tuple(self._waiting):
            if self.lacking_bytes():
                return
            try:
                waiting()
            except PetsearchError as error:
                log.warning("work waits for room on the disk", reason=error.detail)
            except Exception:  # the others do not wait for this one
                log.exception("work that waited for room on the disk failed")
            else:
                self._waiting.remove(waiting)

    def check_delete(self) -> None:
        """Check that a delete can be made, with the reserve if need be.

        Raises:
            StorageFull: the index cannot be written.
        """
        self.make_room()
        if self.unmapped_bytes:
            self.check()

    def make_room(self, wanted: int = _DELETE_BYTES) -> None:
        """Give up the reserve if less than `wanted` bytes are free."""
        with self._changing:
            if self.free_bytes() < wanted:
                self._reserve.unlink(missing_ok=True)
                self._reserve.with_suffix(".making").unlink(missing_ok=True)


def holes_of(folder: Path) -> int:
    """How many bytes of the files below have no block on the disk yet."""
    return sum(size - held for _, size, held in _files_with_holes(folder))


def fill_holes(folder: Path) -> None:
    """Give every file below its blocks, so that writing into a mapped one never lacks any.

    Raises:
        OSError: there are not enough.
    """
    for path, size_bytes, _ in _files_with_holes(folder):
        with suppress(FileNotFoundError), path.open("r+b") as file:
            _allocate(file.fileno(), size_bytes)


def _files_with_holes(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """Each with its size and what it has on the disk."""
    for above, _, names in os.walk(folder):
        for path in (Path(above, name) for name in names):
            with suppress(FileNotFoundError):
                found = path.lstat()
                if found.st_blocks * 512 < found.st_size:
                    yield path, found.st_size, found.st_blocks * 512


def _allocate(descriptor: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(descriptor, 0, size_bytes)
