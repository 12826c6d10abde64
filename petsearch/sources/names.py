"""Which entries of folders, archives and buckets are photos: one list for every way in.

Names are labels: nothing is ever unpacked to a path, so where a name leads does not matter. A name
decides only where its suffix is well known; else the content does.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from petsearch.domain import LeftOutReason
from petsearch.domain.visible_text import MOST_COMPOSED
from petsearch.photos import formats

HEAD_BYTES = formats.HEAD_BYTES
"""How much of an entry's content decides."""
NESTED_ARCHIVE = "It is an archive, not a photo; unpack it, or send it as a job of its own."
_NAMED_LIKE = {
    LeftOutReason.VIDEO: "a video",
    LeftOutReason.SIDECAR: "a file beside a photo",
    LeftOutReason.JUNK: "what systems keep beside photos",
    LeftOutReason.NOT_A_PHOTO: "another kind of file",
}
_PHOTOS = """
    jpg jpeg jpe jfif jif png apng webp gif heic heif hif avif bmp dib tif tiff
    dng cr2 cr3 nef arw orf rw2 raf pef srw
"""
_VIDEOS = "mov mp4 m4v avi 3gp 3g2 mkv webm mts m2ts mpg mpeg wmv flv insv lrv mp"
_SIDECARS = "json xmp aae thm"
_ARCHIVES = "zip tar tgz tbz2 txz gz bz2 xz 7z rar zst"
_OTHERS = """
    txt md csv tsv xls xlsx ods doc docx odt rtf pdf html htm xml yaml yml log db ini dat bak tmp
    url lnk webloc exe dll app bat sh py js css mp3 m4a wav aac ogg flac amr svg eps ai psd indd
    sqlite plist nfo lst idx torrent part crdownload eml ics vcf
"""
_KIND_OF_SUFFIX: dict[str, LeftOutReason | None] = {
    **dict.fromkeys(_OTHERS.split(), LeftOutReason.NOT_A_PHOTO),
    **dict.fromkeys(_VIDEOS.split(), LeftOutReason.VIDEO),
    **dict.fromkeys(_SIDECARS.split(), LeftOutReason.SIDECAR),
    **dict.fromkeys(_PHOTOS.split(), None),
}
# What systems keep beside photos: Synology, QNAP, GNOME, Windows, macOS, Dropbox, Lightroom, ….
_JUNK_FOLDERS = re.compile(
    r"\..+|@eaDir|@Recycle|@Recently-Snapshot|@tmp|#recycle|#snapshot|__MACOSX|\$RECYCLE\.BIN|"
    r"System Volume Information|lost\+found|RECYCLER|RECYCLED|\.Trash-.*|.+\.lrdata|@sharebin|"
    r"~snapshot|FOUND\.\d{3}|Network Trash Folder|Temporary Items|iPod Photo Cache",
    re.IGNORECASE,
)
_LIBRARY = re.compile(r".+\.(photoslibrary|photolibrary|aplibrary)", re.IGNORECASE)
"""Of Apple's programs, which keep derivatives beside the originals."""
_ORIGINALS = ("originals", "masters")
_JUNK_FILES = re.compile(
    r"\..+|Thumbs\.db(:.*)?|ehthumbs(_vista)?\.db|desktop\.ini|Icon\r|SYNOPHOTO_THUMB.*|~\$.*|"
    r"Picasa\.ini|ZbThumbnail\.info|.*@Syno(EAStream|Resource)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NameKind:
    """What a name says of an entry."""

    left_out: LeftOutReason | None = None
    """Why it is no item, if its name tells."""
    is_folder: bool = False
    is_archive: bool = False
    is_known: bool = False
    """Whether the suffix is one of photos; else the content decides."""


def kind_of(name: str) -> NameKind:
    """What the name of an entry says; its parts are separated by slashes or backslashes."""
    *folders, last = name.replace("\\", "/").split("/")
    if _are_junk(folders):
        return NameKind(LeftOutReason.JUNK)
    if not last:
        return NameKind(is_folder=True)
    if _JUNK_FILES.fullmatch(last):
        return NameKind(LeftOutReason.JUNK)
    suffix = suffix_of(last)
    if suffix in _ARCHIVES.split():
        return NameKind(is_archive=True)
    if suffix in _KIND_OF_SUFFIX:
        reason = _KIND_OF_SUFFIX[suffix]
        return NameKind(reason, is_known=reason is None)
    return NameKind()


def refusal_by_name(name: str) -> str | None:
    """Why a file that a list names is not fetched; None if it is a photo or its content decides.

    What a folder holds is left out, but each entry of a list is accounted for as an item. The
    folder that it is in does not matter.
    """
    kind = kind_of(name.replace("\\", "/").rpartition("/")[2])
    if kind.is_archive:
        return NESTED_ARCHIVE
    if kind.left_out is None:
        return None
    return f"Its name suggests {_NAMED_LIKE[kind.left_out]}, not a photo."


def is_junk_folder(path: str) -> bool:
    """Whether a folder, by its path in the source, holds what systems keep beside photos."""
    return _are_junk(path.replace("\\", "/").split("/"))


def _are_junk(folders: Sequence[str]) -> bool:
    named = any(_JUNK_FOLDERS.fullmatch(name) for name in folders if name not in (".", ".."))
    return named or any(
        _LIBRARY.fullmatch(above) and name.lower() not in _ORIGINALS
        for above, name in pairwise(folders)
    )


def reason_by_content(head: bytes) -> LeftOutReason | None:
    """Why an entry whose name says nothing is no item; None if its content is that of a photo.

    Args:
        head: the first `HEAD_BYTES` of it.
    """
    what = formats.describe(head) or ""
    if formats.is_picture(what):
        return None
    return LeftOutReason.VIDEO if "video" in what else LeftOutReason.NOT_A_PHOTO


def other_forms(name: str) -> list[str]:
    """The same name with its accents composed or not: tables, disks and buckets differ in that."""
    if len(name) > MOST_COMPOSED:  # nothing is called so
        return []
    forms = (unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return [form for form in forms if form != name]


def suffix_of(name: str) -> str:
    """The suffix of a file name in lower case, without its dot; "" if there is none."""
    stem, _, suffix = unicodedata.normalize("NFC", name[-MOST_COMPOSED:]).rpartition(".")
    return suffix.strip().lower() if stem else ""
