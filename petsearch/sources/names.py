"""What an entry of an archive or a bucket is by its name: a photo, passed over, or refused."""

import re
from enum import Enum

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
)
"""What counts as a photo where there are other files too."""
_ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst"}
)
# Absolute, on a drive, up and out, or with a NUL that ends the name for some programs.
_LEADS_OUT = re.compile(r"/|[A-Za-z]:|(.*/)?\.\.(/|$)|.*\0", re.DOTALL)
# A part that begins with a dot, other than "." itself.
_HIDDEN = re.compile(r"(.*/)?(__MACOSX/|\.[^/])", re.DOTALL)


class NameKind(Enum):
    """What a name says. The value is the reason for a refusal, where it is one."""

    PHOTO = None
    PASSED_OVER = ""
    """A folder, a hidden file, or a file that is no photo."""
    ARCHIVE = "It is an archive, not a photo; unpack it, or send it as a job of its own."
    LEADS_OUT = "Its name leads out of its folder."

    @property
    def refusal(self) -> str | None:
        """Why such an entry is refused, whatever it holds; None if it is not."""
        return self.value or None


def kind_of(name: str) -> NameKind:
    """What the entry `name` is; parts of a name are separated by `/` or by backslashes."""
    name = name.replace("\\", "/")
    if _LEADS_OUT.match(name):
        return NameKind.LEADS_OUT
    if name.endswith("/") or _HIDDEN.match(name):
        return NameKind.PASSED_OVER
    _, dot, suffix = name.rpartition(".")
    suffix = dot + suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return NameKind.PHOTO
    return NameKind.ARCHIVE if suffix in _ARCHIVE_SUFFIXES else NameKind.PASSED_OVER
