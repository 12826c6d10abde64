"""Checks that this process may change its own files.

A program that ran as another user once, such as root, leaves files and folders that it may not
change. What it changes would end half done, so it does not start.
"""

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from petsearch.domain.errors import ConfigurationError

_NAMED = 3
_STORE_LEVELS = 2
"""Of folders in a store. Its files are replaced and deleted, never changed, and may be millions."""
_NOT_OURS = frozenset({"lost+found", ".snapshot", ".snapshots"})
"""What file systems put into the root of a disk."""
_USES_EFFECTIVE_IDS = os.access in os.supports_effective_ids


def check_data_folder(folder: Path, store: Path) -> None:
    """Check that this process may change a data folder, with the folder `store` in it.

    Raises:
        ConfigurationError: it may not; the message names the first files and what mends it.
    """
    _raise_if_any(folder, chain(_denied(folder, leave_out=store), _denied_folders(store)))


def check_store(folder: Path) -> None:
    """Check that this process may put objects into the folder of a store, and delete them.

    Raises:
        ConfigurationError: see `check_data_folder`.
    """
    _raise_if_any(folder, _denied_folders(folder))


def check_temporary_folder() -> None:
    """Check that there is one, for uploads, sockets and what is unpacked.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise ConfigurationError(
            "There is no folder for temporary files: TMPDIR, /tmp, /var/tmp, /usr/tmp and the "
            "current folder cannot be written. Name one in TMPDIR (docker run: --tmpfs /tmp)."
        ) from error


def may_use(path: Path | str, mode: int) -> bool:
    """Whether this process may use a file or folder; `mode` is as of `os.access`."""
    return os.access(path, mode, effective_ids=_USES_EFFECTIVE_IDS)


def _raise_if_any(root: Path, denied: Iterator[Path]) -> None:
    found = list(denied)
    if not found:
        return
    user, group = os.geteuid(), os.getegid()
    named = ", ".join(map(str, found[:_NAMED]))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    is_of_others = any(_owner(path) not in (user, None) for path in found)
    change = f"chown -R {user}:{group}" if is_of_others else "chmod -R u+rwX"
    raise ConfigurationError(
        f"petsearch runs as user {user}, which may not change {named}{more}. "
        f"{'Another user made them' if is_of_others else 'Their mode forbids it'}. "
        f"To mend it, run as root: {change} {shlex.quote(str(root.resolve()))}"
    )


def _owner(path: Path) -> int | None:
    """The user id of its owner; None if it has vanished."""
    with suppress(OSError):
        return path.stat().st_uid
    return None


def _denied(folder: Path, leave_out: Path) -> Iterator[Path]:
    """Files and folders below that cannot be changed, and `folder` itself."""
    if folder == leave_out:
        return
    if not may_use(folder, os.R_OK | os.W_OK | os.X_OK):
        yield from _existing(folder)
    for path in _children(folder):
        if path.is_dir():
            yield from _denied(path, leave_out)
        elif not may_use(path, os.R_OK | os.W_OK):
            yield from _existing(path)


def _denied_folders(folder: Path, levels: int = _STORE_LEVELS) -> Iterator[Path]:
    if not may_use(folder, os.R_OK | os.W_OK | os.X_OK):
        yield from _existing(folder)
    for path in _children(folder) if levels else ():
        if path.is_dir():
            yield from _denied_folders(path, levels - 1)


def _existing(path: Path) -> Iterator[Path]:
    """The path, unless it has vanished or lies in a folder that cannot be entered."""
    with suppress(PermissionError):
        if path.exists():
            yield path


def _children(folder: Path) -> list[Path]:
    if may_use(folder, os.R_OK | os.X_OK):
        with suppress(OSError):
            return sorted(path for path in folder.iterdir() if path.name not in _NOT_OURS)
    return []
