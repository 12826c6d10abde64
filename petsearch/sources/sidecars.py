"""Files beside photos that state when and where they were taken, and what they show.

Google's Takeout writes `IMG.jpg.supplemental-metadata.json`, and `IMG.jpg.json` before 2024. It
cuts long names off, moves the number of `IMG(1).jpg` behind them (`IMG.jpg(1).json`), and writes
none for edited copies. Other programs write XMP to `IMG.xmp` or `IMG.jpg.xmp`.
"""

import codecs
import html
import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from petsearch.domain import ImageMetadata, ItemWarning, LeftOut, LeftOutReason, TakenAtSource
from petsearch.domain.capture import Capture, valid_location
from petsearch.domain.dates import precision_of, time_of
from petsearch.domain.errors import InvalidInput, NotFound
from petsearch.domain.metadata import LONGEST_PATH, LONGEST_TEXT, safe_filename, safe_path
from petsearch.domain.visible_text import visible_text
from petsearch.photos.embedded import capture_of_xmp
from petsearch.sources.names import kind_of
from petsearch.sources.source import SourceItem

MOST_BYTES = 1_000_000
"""Larger sidecars are not read."""
MOST_ENTRIES = 100_000
"""Entries of a source among which sidecars are looked for: they are kept in memory."""
_MOST_NAME_CHARACTERS = 16_000_000
"""Of all names that are kept."""
_MOST_READS = 100
"""Of one sidecar, which is read again for each photo that it belongs to: an archive can hold
millions of entries of the same name."""
_MOST_CHARACTERS = 20 * LONGEST_TEXT
"""Of a description that are looked at; most of it is cut off."""
DESCRIPTION = "description"
"""The attribute that a description becomes."""

_SUPPLEMENT = ".supplemental-metadata"
_SHORTEST_CUT = 40
"""Takeout cuts names to 46 characters, with some variation."""
_NUMBER = re.compile(r"\(\d+\)$")
_EDITS = (
    "edited|effects|smile|mix|bearbeitet|modifié|ha editado|editado|editada|editat|bewerkt|"
    "modificato|edytowane|redigerad|redigeret|redigert|muokattu|upraveno|düzenlendi|編集済み|изменено"
)
_BEGINNINGS = "|".join(edit[:n] for edit in _EDITS.split("|") for n in range(1, len(edit)))
_EDITED = re.compile(rf"-({_EDITS})(?=\(\d+\)$|$)")
_CUT_EDITED = re.compile(rf"(?<=[^/]{{30}})-({_BEGINNINGS})(?=\(\d+\)$|$)")
"""The same at the end of a name that is long enough to be cut."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Described:
    """Metadata with what sidecars add to it."""

    metadata: ImageMetadata
    location: tuple[float, float] | None = None
    """Of a sidecar; taken only where places are asked for."""
    warnings: tuple[ItemWarning, ...] = ()


class Sidecars:
    """The sidecars among the entries of a source, by the photos that they belong to.

    Args:
        names: iterates over the paths of all entries; called up to twice, and read up to
            `MOST_ENTRIES`.
        read: returns the bytes of an entry, at most `MOST_BYTES` and one more.
    """

    def __init__(self, names: Callable[[], Iterable[str]], read: Callable[[str], bytes]) -> None:
        self._read = read
        self._names = {
            _key(name): name
            for name in _kept(names())
            if kind_of(name).left_out is LeftOutReason.SIDECAR
        }
        photos = _kept(names()) if self._names else ()
        self._used = {name for photo in photos for name in self._of(photo)}
        self._reads = Counter[str]()

    def classify(self, entry: LeftOut) -> LeftOut:
        """The entry with a reason that tells whether a sidecar belongs to a photo."""
        is_used = entry.reason is LeftOutReason.SIDECAR and entry.name in self._used
        return replace(entry, reason=LeftOutReason.SIDECAR_USED) if is_used else entry

    def describe(self, photo: str, metadata: ImageMetadata) -> Described:
        """Add to the metadata of a photo what its sidecars state and it does not."""
        described = Described(metadata)
        for name in self._of(photo):
            self._reads[name] += 1
            problem = f"belongs to more than {_MOST_READS} photos"
            try:
                if self._reads[name] <= _MOST_READS:
                    described = _add(described, name, self._read(name))
                    continue
            except (ValueError, RecursionError, InvalidInput, NotFound, OSError):
                problem = "cannot be read"
            detail = f"{safe_filename(name)} {problem}. It is ignored."
            warnings = (*described.warnings, ItemWarning("sidecar_ignored", detail))
            described = replace(described, warnings=warnings)
        return described

    def apply(self, entries: Iterable[SourceItem | LeftOut]) -> Iterator[SourceItem | LeftOut]:
        """Describe the items of a source, and classify its sidecars."""
        for entry in entries:
            if isinstance(entry, LeftOut):
                yield self.classify(entry)
                continue
            described = self.describe(entry.metadata.source_path, entry.metadata)
            yield replace(
                entry,
                metadata=described.metadata,
                sidecar_location=described.location,
                warnings=(*entry.warnings, *described.warnings),
            )

    def _of(self, photo: str) -> Iterator[str]:
        """The JSON and the XMP of a photo, if there are such files."""
        if not self._names or len(photo) > LONGEST_PATH:
            return
        kind = kind_of(photo)
        if kind.left_out is not None or kind.is_folder:
            return
        for candidates in (_json_names(_key(photo)), _xmp_names(_key(photo))):
            found = next((name for name in candidates if name in self._names), None)
            if found is not None:
                yield self._names[found]


def _kept(names: Iterable[str]) -> Iterator[str]:
    """The names that are kept in memory."""
    room = _MOST_NAME_CHARACTERS
    for name in islice(names, MOST_ENTRIES):
        if (room := room - len(name)) < 0:
            return
        yield name


def _key(path: str) -> str:
    return safe_path(path).replace("\\", "/").casefold()


def _json_names(photo: str) -> Iterator[str]:
    """What Takeout may call the sidecar of a photo, the likeliest first."""
    stem, suffix = posixpath.splitext(photo)
    originals = (stem, _EDITED.sub("", stem), _CUT_EDITED.sub("", stem))
    for original in dict.fromkeys(originals):
        number = _NUMBER.search(original)
        if number is not None:
            yield from _takeout_names(original[: number.start()] + suffix, number[0])
        yield from _takeout_names(original + suffix, "")
        yield f"{original}.json"


def _takeout_names(title: str, number: str) -> Iterator[str]:
    folder, slash, name = title.rpartition("/")
    whole = name + _SUPPLEMENT
    for length in range(len(whole), min(len(name), _SHORTEST_CUT) - 1, -1):
        yield f"{folder}{slash}{whole[:length]}{number}.json"


def _xmp_names(photo: str) -> Iterator[str]:
    yield f"{photo}.xmp"
    yield f"{posixpath.splitext(photo)[0]}.xmp"


def _add(described: Described, name: str, data: bytes) -> Described:
    """Add what a sidecar states.

    Raises:
        ValueError, RecursionError: it is none.
    """
    if len(data) > MOST_BYTES:
        raise ValueError("it is too large")
    is_xmp = name.casefold().endswith(".xmp")
    capture, description = (_read_xmp if is_xmp else _read_takeout)(data)
    metadata, warnings = described.metadata, described.warnings
    if metadata.taken_at_source is None:
        metadata = _dated(metadata, capture.taken_at)
    if description and DESCRIPTION not in metadata.attributes:
        if len(description) > LONGEST_TEXT:
            shown = safe_filename(name)
            detail = f"The description in {shown} is cut to {LONGEST_TEXT} characters."
            field = f"attributes.{DESCRIPTION}"
            warnings = (*warnings, ItemWarning("description_shortened", detail, field))
            description = description[: LONGEST_TEXT - 1] + "\u2026"
        attributes = {**metadata.attributes, DESCRIPTION: description}
        metadata = replace(metadata, attributes=attributes)
    return Described(metadata, described.location or capture.location, warnings)


def _dated(metadata: ImageMetadata, stated: date | None) -> ImageMetadata:
    if stated is None:
        return metadata
    return replace(
        metadata,
        taken_at=time_of(stated),
        taken_at_source=TakenAtSource.SIDECAR,
        taken_at_precision=precision_of(stated),
    )


def _read_takeout(data: bytes) -> tuple[Capture, str]:
    found = json.loads(data)
    if not isinstance(found, dict) or not found.keys() & {"photoTakenTime", "geoData", "title"}:
        raise ValueError("it is not of Takeout")
    time = _dict(found.get("photoTakenTime")).get("timestamp")
    location = _place(found.get("geoData")) or _place(found.get("geoDataExif"))
    return Capture(_time(time), location), _plain(found.get("description"))


def _read_xmp(data: bytes) -> tuple[Capture, str]:
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = data.decode("utf-16" if is_wide else "utf-8-sig")
    if "rdf:Description" not in text:
        raise ValueError("it is not XMP")
    return capture_of_xmp(text.encode()), _plain(html.unescape(_xmp_description(text)))


def _xmp_description(text: str) -> str:
    """The first of its languages that says something; empty if there is none."""
    property_, closed, _ = text.partition("<dc:description>")[2].partition("</dc:description>")
    for language in property_.split("<rdf:li")[1:] if closed else ():
        tag, _, said = language.partition(">")
        said = "" if tag.endswith("/") else said.partition("</rdf:li>")[0].strip()
        if said and "<" not in said:
            return said
    return ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(timestamp: object) -> datetime | None:
    """Seconds since 1970, in UTC; 0 is no time."""
    try:
        seconds = int(str(timestamp))
        return _EPOCH + timedelta(seconds=seconds) if seconds else None
    except (ValueError, OverflowError):
        return None


def _place(value: object) -> tuple[float, float] | None:
    place = _dict(value)
    latitude, longitude = place.get("latitude"), place.get("longitude")
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return None
    return valid_location(latitude, longitude)


def _plain(text: object) -> str:
    """The beginning, without characters that cannot be seen or stored."""
    if not isinstance(text, str):
        return ""
    return visible_text(text[:_MOST_CHARACTERS].encode(errors="ignore").decode())
