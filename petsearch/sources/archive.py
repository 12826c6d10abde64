"""A zip or tar file as a source. Its type is detected from its first bytes, not from its name.

Entries that are no photos are left out by name. A photo that cannot be read is an item with a
refusal: it is encrypted, damaged, too large, a link, or an archive itself. Nothing is unpacked to
disk, so names are only labels.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from petsearch.domain import LeftOut
from petsearch.domain.errors import InvalidInput
from petsearch.photos import formats
from petsearch.sources import cursor as cursors
from petsearch.sources.archive_limits import ArchiveLimits
from petsearch.sources.source import Source, SourceItem, disk_errors
from petsearch.sources.tar_archive import is_tar, read_tar, tar_sidecars
from petsearch.sources.zip_archive import count_photos, read_zip, zip_sidecars
from petsearch.sources.zip_directory import find_directory

_HEAD_BYTES = 512


@dataclass(frozen=True)
class ArchiveSource(Source):
    """The `Source` of the photos in an archive."""

    open_file: Callable[[], BinaryIO]
    """Opens the archive as a seekable stream; called up to twice for each read."""
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)

    def read(self, cursor: str | None) -> Iterator[SourceItem | LeftOut]:
        if cursor == cursors.END:
            return
        with disk_errors("The archive"), self.open_file() as file:
            # Tar first: a tar file whose last photo ends like a zip file is not a zip file.
            if is_tar(file.read(_HEAD_BYTES)):
                sidecars = tar_sidecars(file, self.limits)
                yield from sidecars.apply(read_tar(file, self.limits, cursor or ""))
                return
            directory = find_directory(file)
            if directory is None:
                raise InvalidInput(_no_archive(file))
            with self.open_file() as directory_file:
                sidecars = zip_sidecars(file, directory_file, directory)
                where = (file, directory_file, directory, self.limits)
                yield from sidecars.apply(read_zip(*where, cursor or ""))

    def count(self) -> int | None:
        """The number of items in the directory of a zip file; a tar file has none."""
        with disk_errors("The archive"), self.open_file() as file:
            if is_tar(file.read(_HEAD_BYTES)):
                return None
            directory = find_directory(file)
            return count_photos(file, directory, self.limits) if directory else None


def _no_archive(file: BinaryIO) -> str:
    file.seek(0)
    what = formats.describe(file.read(formats.HEAD_BYTES))
    if what == formats.ZIP:
        return "The zip file is cut off or damaged: its directory is not at its end; send it again."
    shown = f" but {what}" if what else ""
    return f"The file is not a zip or tar archive{shown}."
