"""A zip or tar file as a source. What it is, its first bytes say, not its name.

Folders, hidden files and files that are no photos by their names are passed over. What looks like
a photo and cannot be taken is an item with its reason: it is encrypted, damaged or too large, a
link, an archive again, or its name leads out of the archive. Nothing is ever unpacked to a disk.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput, Unavailable
from petsearch.sources import cursor as cursors
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.source import SourceItem
from petsearch.sources.tar_archive import is_tar, read_tar
from petsearch.sources.zip_archive import count_photos, read_zip
from petsearch.sources.zip_directory import find_directory

_HEAD_BYTES = 512


class ArchiveSource:
    """The `Source` of the photos in an archive.

    Args:
        open_file: opens the archive as a seekable stream; called once or twice for a reading.
    """

    def __init__(
        self, open_file: Callable[[], BinaryIO], limits: ArchiveLimits | None = None
    ) -> None:
        self._open_file = open_file
        self._limits = limits or ArchiveLimits()
        self.passed_over = 0
        """Entries that were no photos by their names, in all that was read so far."""

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`."""
        if cursor == cursors.END:
            return
        with _translated_disk_errors(), self._open_file() as file:
            for item in self._entries(file, cursor or ""):
                if item is None:
                    self.passed_over += 1
                else:
                    yield item

    def count(self) -> int | None:
        """Of a zip file, from its directory. A tar file has none."""
        with _translated_disk_errors(), self._open_file() as file:
            if is_tar(file.read(_HEAD_BYTES)):
                return None
            directory = find_directory(file)
            return count_photos(file, directory, self._limits) if directory else None

    def _entries(self, file: BinaryIO, after: str) -> Iterator[SourceItem | None]:
        # A tar file first: one whose last photo ends like a zip file is none.
        if is_tar(file.read(_HEAD_BYTES)):
            yield from read_tar(file, self._limits, after)
            return
        directory = find_directory(file)
        if directory is None:
            raise InvalidInput("The file is no zip or tar archive.")
        with self._open_file() as own_file:
            yield from read_zip(file, own_file, directory, self._limits, after)


@contextmanager
def _translated_disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"The archive cannot be read: {error.strerror}.") from error
