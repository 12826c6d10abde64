"""The folders of the server's machine that jobs may read."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput, NotFound, TooLarge
from petsearch.sources.names import other_forms
from petsearch.sources.source import Fetcher, disk_errors

SCHEME = "file"
# Linux opens a folder by O_PATH without the permission to list it.
_FOLDER = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)


class ImportFolders(Fetcher):
    """Opens files below the folders, and no others; the `Fetcher` for `file:<path>`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folder.expanduser().resolve() for folder in folders)

    def resolve(self, path: str) -> Path:
        """Resolve a file or folder to its absolute path, following all links.

        Raises:
            InvalidInput: it is outside the folders, or not absolute.
            NotFound: it does not exist.
        """
        given = Path(path)
        if not given.is_absolute() or "\0" in path:
            raise InvalidInput(f"{path!r} is not an absolute path.")
        try:
            found = _resolved(given)
        except (OSError, RuntimeError) as error:
            raise InvalidInput(f"The path {path} cannot be resolved.") from error
        if not any(found.is_relative_to(folder) for folder in self._folders):
            # The same message whether such a file exists outside or not.
            raise InvalidInput(
                f"{path} is in none of the folders that jobs may read; "
                "the operator of the server sets them by PETSEARCH_IMPORT_DIRS."
            )
        if not _exists(found):
            for other in other_forms(str(found)):
                if _exists(Path(other)):
                    return self.resolve(other)
            raise NotFound(f"There is no file or folder {path}.")
        return found

    def open(self, path: str) -> BinaryIO:
        """Open a file as a seekable stream.

        Raises:
            InvalidInput, NotFound: see `resolve`; also `InvalidInput` if it is not a file.
            Unavailable: the disk fails.
        """
        found = self.resolve(path)
        with disk_errors(path):
            try:
                opened = open_without_links(found)
            except FileNotFoundError as error:
                raise NotFound(f"There is no file {path}.") from error
            except PermissionError as error:
                raise InvalidInput(f"The server may not read {path}.") from error
        # Looked at first: `fdopen` leaves a folder open that it refuses.
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            os.close(opened)
            raise InvalidInput(f"{path} is {'a folder, ' if stat.S_ISDIR(mode) else ''}not a file.")
        return os.fdopen(opened, "rb")

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        path = origin.removeprefix(f"{SCHEME}:")
        with self.open(path) as file, disk_errors(path):
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise TooLarge(f"The file is larger than {max_bytes / 1e6:.0f} MB.")
        return data


def open_without_links(path: Path) -> int:
    """Open a resolved file. A link that has replaced a part of its path since is not followed."""
    folder = os.open(path.anchor, _FOLDER)
    try:
        for name in path.parts[1:-1]:
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # O_NONBLOCK: not to wait for a pipe's other end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        return os.open(path.name or ".", flags, dir_fd=folder)
    finally:
        os.close(folder)


def _resolved(path: Path) -> Path:
    """The path without links, whether it exists or not.

    Raises:
        OSError, RuntimeError: it cannot be told, or there is a loop of links.
    """
    try:
        return path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        return path.resolve()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False
