"""What a file is by its content: the formats that are decoded, and a name for what is not one."""

import codecs
import mmap
import re

Buffer = bytes | mmap.mmap
"""The bytes of a file, or the file mapped into memory, which reads what is looked at."""

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")
"""Names that Pillow has for what is decoded, as they are tried.

AVIF comes before HEIC, whose reader opens it too and cannot decode it.
"""
ACCEPTED = "JPEG, PNG, WebP, GIF, HEIC, AVIF, BMP or TIFF"
"""The same for people."""
RAW_CONTENT_TYPE = "image/x-raw"
"""Of cameras' raw files, whose kinds have no registered types in common."""
ZIP = "a zip archive"
HEAD_BYTES = 4096
"""How much of a file `describe` reads."""

_CONTENT_TYPES = {
    "JPEG": "image/jpeg",
    # A JPEG with more pictures behind it, such as a gain map: every reader of JPEG shows the first.
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "HEIF": "image/heif",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
}
_ACCEPTED_NAMES = frozenset(
    f"{'an' if name[0] == 'A' else 'a'} {name} picture"
    for name in ("JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF", "HEIC", "AVIF")
)
_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# A pattern of the first bytes, and what such a file is.
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "a JPEG picture"),
    (rb"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (rb"GIF8[79]a", "a GIF picture"),
    (rb"RIFF....WEBP", "a WebP picture"),
    (rb"BM.{4}\0\0\0\0", "a BMP picture"),
    (rb"(II[\x2a\x2b]\0|MM\0[\x2a\x2b])", "a TIFF picture"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL picture"),
    (rb"8BPS", "a Photoshop document"),
    (rb"gimp xcf", "a GIMP document"),
    (rb"\0\0[\x01\x02]\0[^\0]\0", "an icon"),
    (rb"v/1\x01", "an OpenEXR picture"),
    (rb"#\?RADIANCE|#\?RGBE", "a Radiance HDR picture"),
    (rb"qoif", "a QOI picture"),
    (rb"P[1-7][\s#]", "a PNM picture"),
    (rb"\x8aMNG|\x8bJNG", "an MNG picture"),
    (rb"\n[\0-\x05][\0\x01][\x01\x02\x04\x08]", "a PCX picture"),
    (rb"FUJIFILMCCD-RAW", "a camera's raw file (RAF)"),
    (rb"IIU\0|IIR[OS]|MMOR|FOVb|\0MRM", "a camera's raw file"),
    (rb"II\xbc\x01", "a JPEG XR picture"),
    (rb"BPG\xfb|FLIF", "a BPG or FLIF picture"),
    (rb"DDS \x7c\0\0\0", "a texture"),
    (rb"icns", "an icon"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "a Windows metafile"),
    (rb".{128}DICM|SIMPLE  =", "a medical or astronomical picture"),
    (rb"....(moov|mdat|wide|free)", "a video"),
    (rb"\x1aE\xdf\xa3|RIFF....AVI |FLV\x01", "a video or sound"),
    (rb"\x30\x26\xb2\x75|\0\0\x01[\xb3\xba]|OggS", "a video or sound"),
    (rb"ID3|RIFF....WAVE|fLaC|MThd|#!AMR|\xff[\xf1\xf9\xfb\xf3]", "a sound"),
    (rb"%PDF-", "a PDF document"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "a PostScript document"),
    (rb"\{\\rtf", "a text document"),
    (re.escape(_OFFICE), "an Office document"),
    (rb"PK\x03\x04|PK\x05\x06|PK\x07\x08", ZIP),
    (rb"Rar!", "a RAR archive"),
    (rb"7z\xbc\xaf", "a 7z archive"),
    (rb"\x1f[\x8b\x9d]|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar", "an archive"),
    (rb"bplist0", "a property list, as iCloud leaves in place of a file"),
    (rb"SQLite format 3\0", "a database"),
    (rb"L\0\0\0\x01\x14\x02\0|\[InternetShortcut\]", "a shortcut"),
    (rb"data:image/|/9j/4AA|iVBORw0KGgo", "the text of a picture in Base64"),
    (rb"\0\x05\x16[\0\x07]", "a macOS resource fork"),
    (rb"version https://git-lfs", "a Git LFS pointer (git lfs pull fetches the file itself)"),
    (rb"(\.\./)*\.?/?(\.git/)?annex/objects/", "a git-annex pointer, not the file itself"),
    (rb"MZ|\x7fELF", "a program"),
)  # fmt: skip
# Patterns of the brands of a file of boxes, where none is a video.
_BRANDS: tuple[tuple[bytes, str], ...] = (
    (rb"avi[fs]", "an AVIF picture"),
    (rb"hei[cfmsx]|hev[cmsx]|mif\d|msf1|miaf", "a HEIC picture"),
    (rb"crx ", "a camera's raw file (CR3)"),
    (rb"M4[AB] ", "a sound"),
)
_TEXTS: tuple[tuple[bytes, str], ...] = (
    (rb"<svg[\s>]", "an SVG drawing"),
    (rb"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", "a web page"),
    (rb"<x:xmpmeta", "an XMP file"),
    (rb"<\?xml", "an XML document"),
)
# All at once: trying fifty patterns one by one takes longer than reading an entry of an archive.
_ANY_KNOWN = re.compile(
    b"|".join(b"(?P<k%d>%s)" % (n, pattern) for n, (pattern, _) in enumerate(_KNOWN)), re.DOTALL
)
_CONTROLS = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")


def content_type_of(pillow_format: str | None) -> str:
    """The media type of what Pillow calls `pillow_format`."""
    return _CONTENT_TYPES.get(pillow_format or "", "application/octet-stream")


def reason_of_refusal(head: bytes) -> str:
    """Why a file that begins with `head` cannot be opened, for the person who sent it."""
    if (what := describe(head)) is None:
        return f"The file is not a picture of a known format; send {ACCEPTED}."
    if what in _ACCEPTED_NAMES:
        return f"The file is {what} whose header is broken."
    if what.endswith("picture"):
        return f"The file is {what}, which is not accepted; send {ACCEPTED}."
    return f"The file is not a picture but {what}; send {ACCEPTED}."


def is_picture(what: str) -> bool:
    """Whether `describe` says that a file claims to be a picture, if of a refused format."""
    return what.endswith("picture") or "raw file" in what


def describe(head: bytes) -> str | None:
    """What a file is that begins with `head`, as "a PDF document"; None if it is unknown."""
    if head[4:8] == b"ftyp":
        return _describe_boxes(head)
    if (found := _ANY_KNOWN.match(head)) and found.lastgroup:
        return _KNOWN[int(found.lastgroup[1:])][1]
    text = _as_ascii(head).lstrip()
    if text.startswith(b"<"):
        for pattern, name in _TEXTS:
            if re.search(pattern, text, re.IGNORECASE):
                return name
    if re.match(rb'(\{\s*"|\[\s*[\[{"\d])', text):
        return "a JSON document"
    if head and not head.strip(b"\0"):
        return "nothing but zero bytes"
    return "a text" if _is_text(text) else None


def _describe_boxes(head: bytes) -> str:
    end = min(len(head), int.from_bytes(head[:4], "big"))
    # The main one, the version of this, and the others.
    brands = (head[at : at + 4] for at in (8, *range(16, end, 4)))
    found = [name for b in brands for pattern, name in _BRANDS if re.fullmatch(pattern, b)]
    return next((name for _, name in _BRANDS if name in found), "a video")


def _is_text(head: bytes) -> bool:
    """Whether these are words in UTF-8, of which the last may be cut."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and _CONTROLS.search(text) is None


def _as_ascii(head: bytes) -> bytes:
    """Without a byte order mark; UTF-16 as the ASCII it holds."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[2:].replace(b"\0", b"")
    return head.removeprefix(b"\xef\xbb\xbf")
