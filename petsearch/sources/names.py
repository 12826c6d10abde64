"""Which entries of an archive or a bucket are photos by their names, and which are refused."""

import re
from pathlib import PurePosixPath

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
)
"""What counts as a photo where there are other files too."""
_ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
)
_DRIVE = re.compile(r"[A-Za-z]:")


def is_passed_over(name: str) -> bool:
    """Whether an entry is neither a photo nor worth a word: folders, hidden files, other files."""
    parts = _parts(name)
    if not parts or name.endswith("/"):
        return True
    if "__MACOSX" in parts or any(_is_hidden(part) for part in parts):
        return True
    return _suffix(parts[-1]) not in PHOTO_SUFFIXES | _ARCHIVE_SUFFIXES


def refusal_of_name(name: str) -> str | None:
    """Why an entry with this name is refused whatever it holds; None if the name is in order."""
    parts = _parts(name)
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in parts or "\0" in name:
        return "Its name leads out of the archive."
    if parts and not is_passed_over(name) and _suffix(parts[-1]) in _ARCHIVE_SUFFIXES:
        return "It is an archive in an archive; unpack it, or send it as a job of its own."
    return None


def _parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part != ".."


def _suffix(part: str) -> str:
    return PurePosixPath(part).suffix.lower()
