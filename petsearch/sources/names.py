"""Classifies entries of archives and buckets by name: photo, skipped, or refused."""

import re
from enum import Enum

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
)
"""Suffixes of photos, where a folder also has other files."""
_ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
)
# An absolute path, a drive, `..`, or a NUL, which ends the name for some programs.
_LEADS_OUT = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|$)|.*\0", re.DOTALL)
# A part that begins with a dot, except "." itself.
_HIDDEN = re.compile(r"(.*/)?(__MACOSX/|\.[^/])", re.DOTALL)


class NameKind(Enum):
    """The kind of an entry. The value is the reason for a refusal, if it is refused."""

    PHOTO = None
    SKIPPED = ""
    """A folder, a hidden file, or a file without the suffix of a photo."""
    ARCHIVE = "It is an archive, not a photo; unpack it, or send it as a job of its own."
    LEADS_OUT = "Its name leads out of its folder."

    @property
    def refusal(self) -> str | None:
        """The reason why such an entry is refused; None if it is not."""
        return self.value or None


def kind_of(name: str) -> NameKind:
    """Classify an entry; the parts of `name` are separated by slashes or backslashes."""
    name = name.replace("\\", "/")
    if _LEADS_OUT.match(name):
        return NameKind.LEADS_OUT
    if name.endswith("/") or _HIDDEN.match(name):
        return NameKind.SKIPPED
    _, dot, suffix = name.rpartition(".")
    suffix = dot + suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return NameKind.PHOTO
    return NameKind.ARCHIVE if suffix in _ARCHIVE_SUFFIXES else NameKind.SKIPPED
