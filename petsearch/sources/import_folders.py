"""The folders of this machine that jobs may read, and the files below them."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput, NotFound, TooLarge, Unavailable

SCHEME = "file"


class ImportFolders:
    """Opens files, and no other than those that really lie below one of the folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(folder.expanduser().resolve() for folder in folders)

    def resolve(self, path: str) -> Path:
        """The absolute path of a file or folder, all links followed.

        Raises:
            InvalidInput: it is outside the folders, or not absolute.
            NotFound: nothing is there.
        """
        given = Path(path)
        if not given.is_absolute() or "\0" in path:
            raise InvalidInput(f"{path!r} is no absolute path.")
        try:
            found = given.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links that go in a circle
            raise InvalidInput(f"The path {path} cannot be followed.") from error
        if not any(found.is_relative_to(folder) for folder in self._folders):
            # Whether there is such a file outside is nobody's business.
            raise InvalidInput(
                f"{path} is in none of the folders that jobs may read; "
                "whoever runs this server names them in PETSEARCH_IMPORT_DIRS."
            )
        if not _exists(found):
            raise NotFound(f"There is no file or folder {path}.")
        return found

    def open(self, path: str) -> BinaryIO:
        """A stream of a file's bytes, seekable.

        Raises:
            InvalidInput, NotFound: see `resolve`; `InvalidInput` also for what is no file.
            Unavailable: the disk does not give it.
        """
        found = self.resolve(path)
        # Not a link that took the file's place since, and no waiting for a pipe's other end.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            file = os.fdopen(os.open(found, flags | getattr(os, "O_BINARY", 0)), "rb")
        except IsADirectoryError as error:
            raise InvalidInput(f"{path} is a folder, not a file.") from error
        except FileNotFoundError as error:
            raise NotFound(f"There is no file {path}.") from error
        except PermissionError as error:
            raise InvalidInput(f"The server may not read {path}.") from error
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise InvalidInput(f"{path} is no file.")
        return file


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have is the name of none
        return False


class FileFetcher:
    """The `Fetcher` for `file:<path>`."""

    def __init__(self, folders: ImportFolders) -> None:
        self._folders = folders

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        """See `Fetcher.fetch`."""
        path = origin.removeprefix(f"{SCHEME}:")
        with self._folders.open(path) as file:
            try:
                data = file.read(max_bytes + 1)
            except OSError as error:
                raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
        if len(data) > max_bytes:
            raise TooLarge(f"The file is larger than {max_bytes / 1e6:.0f} MB.")
        return data
