"""How an `ImageRecord` is written as the payload of a Qdrant point, and read back."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time

from petsearch.domain import (
    ImageMetadata,
    ImageRecord,
    ItemRef,
    JsonDict,
    Prediction,
    TakenAtSource,
    fold,
    fold_attribute,
)
from petsearch.domain.dates import Precision, precision_of
from petsearch.domain.identity import hash_bands
from petsearch.domain.places import Place, cell_of

VERSION_FIELD = "updated_at"
"""The payload field that changes with every change of a record."""
LOCATION_FIELD = "location"
"""`{lat, lon}` or null."""
CELL_FIELD = "cell"
"""Of the location, `{lat, lon}` or null: for callers that do not see exact places."""
PAYLOAD_VERSION_FIELD = "payload_version"
PAYLOAD_VERSION = 3
"""Payloads of version 1, which did not state it, have no `derived_fields`; those of version 2 have
no words as they are compared."""


@dataclass(frozen=True)
class Words:
    """A field of words, and how they are compared."""

    written: str
    """The payload field with the words as people wrote them."""
    folded: str
    """That with the words as they are compared; points of version 2 have none."""
    fold: Callable[[str], str]


TAGS = Words("tags", "folded.tags", fold)
ATTRIBUTES = Words("attributes_list", "folded.attributes", fold_attribute)
"""As `Collar=Red`."""
WORDS = (TAGS, ATTRIBUTES)
INDEXED_FIELDS = {
    "label.species": "keyword",
    "label.breed": "keyword",
    "prediction.species": "keyword",
    "prediction.breed": "keyword",
    "prediction.confidence": "float",
    "guess.species_confidence": "float",
    "guess.made_by": "keyword",
    "filename": "keyword",
    "animal_id": "keyword",
    "status": "keyword",
    "tags": "keyword",
    "attributes_list": "keyword",
    TAGS.folded: "keyword",
    ATTRIBUTES.folded: "keyword",
    "phash_bands": "keyword",
    "source_count": "integer",
    LOCATION_FIELD: "geo",
    CELL_FIELD: "geo",
    PAYLOAD_VERSION_FIELD: "integer",
    "created_at": "datetime",
    "taken_at": "datetime",
    VERSION_FIELD: "datetime",
}
"""Payload fields that can be filtered or sorted by, and the kind of their index."""


def to_payload(record: ImageRecord) -> JsonDict:
    """A JSON object; `breed` and `species` hold what is shown, label or prediction."""
    said, place = record.metadata, record.metadata.location
    return {
        "filename": said.filename,
        "breed": record.breed,
        "species": record.species,
        "label": {"breed": said.breed, "species": said.species},
        **_guess_fields(record.prediction),
        "animal_id": said.animal_id,
        "status": said.status,
        "tags": list(said.tags),
        "taken_at": _written(record.taken_at),
        "taken_at_source": record.taken_at_source,
        "taken_at_precision": record.taken_at_precision,
        "exif_taken_at": _written(record.exif_taken_at),
        "exif_taken_at_precision": record.exif_taken_at_precision,
        "attributes": dict(said.attributes),
        "attributes_list": attribute_words(said.attributes),
        LOCATION_FIELD: _place(place),
        **derived_fields(record),
        "source_path": said.source_path,
        "sha256": record.sha256,
        "width": record.width,
        "height": record.height,
        "content_type": record.content_type,
        "size_bytes": record.size_bytes,
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
        "model_id": record.model_id,
        "job_id": record.first_seen.job_id,
        "first_seen": asdict(record.first_seen),
        "sources": [asdict(ref) for ref in record.sources],
        "source_count": len(record.sources),
        "pixels_version": record.pixels_version,
        "phash": record.phash,
        "phash_bands": list(hash_bands(record.phash)) if record.phash else [],
    }


def derived_fields(record: ImageRecord) -> JsonDict:
    """Fields that are only filtered by. `PayloadUpdater` adds them to earlier points."""
    said, place = record.metadata, record.metadata.location
    return {
        "folded": {
            "tags": _once(map(fold, said.tags)),
            "attributes": _once(map(fold_attribute, attribute_words(said.attributes))),
        },
        CELL_FIELD: _place(cell_of(place) if place else None),
        PAYLOAD_VERSION_FIELD: PAYLOAD_VERSION,
    }


def _place(place: Place | None) -> JsonDict | None:
    return {"lat": place[0], "lon": place[1]} if place else None


def attribute_words(attributes: Mapping[str, str]) -> list[str]:
    """Attributes as keywords: `Collar=Red`."""
    return [f"{key}={value}" for key, value in sorted(attributes.items())]


def _once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def from_payload(image_id: str, payload: JsonDict) -> ImageRecord:
    """The record that `to_payload` wrote."""
    return ImageRecord(
        image_id=image_id,
        sha256=payload["sha256"],
        metadata=_metadata_from(payload),
        prediction=_prediction_from(payload),
        width=payload["width"],
        height=payload["height"],
        content_type=payload["content_type"],
        size_bytes=payload["size_bytes"],
        created_at=datetime.fromisoformat(payload["created_at"]),
        updated_at=datetime.fromisoformat(payload["updated_at"]),
        model_id=payload["model_id"],
        first_seen=ItemRef(**payload["first_seen"]),
        sources=tuple(ItemRef(**entry) for entry in payload["sources"]),
        phash=payload.get("phash"),
        pixels_version=payload.get("pixels_version", 1),
        exif_taken_at=_read(payload.get("exif_taken_at")),
        exif_taken_at_precision=_precision(payload, "exif_taken_at"),
    )


def _guess_fields(guess: Prediction | None) -> JsonDict:
    if guess is None:
        return {"prediction": None, "guess": None}
    # Apart, because earlier versions read `prediction` and know no other fields of it.
    said = asdict(guess)
    return {
        "guess": {name: said.pop(name) for name in ("species_confidence", "made_by")},
        "prediction": said,
    }


def _prediction_from(payload: JsonDict) -> Prediction | None:
    if not payload["prediction"]:
        return None
    return Prediction(**payload["prediction"], **(payload.get("guess") or {}))


def _metadata_from(payload: JsonDict) -> ImageMetadata:
    # Points of earlier versions have neither a source of the date, a location nor a path.
    source, place = payload.get("taken_at_source"), payload.get(LOCATION_FIELD)
    is_of_file = source == TakenAtSource.EXIF
    return ImageMetadata(
        filename=payload["filename"],
        breed=payload["label"]["breed"],
        species=payload["label"]["species"],
        animal_id=payload["animal_id"],
        status=payload["status"],
        tags=tuple(payload["tags"]),
        taken_at=None if is_of_file else _read(payload["taken_at"]),
        taken_at_source=TakenAtSource(source) if source and not is_of_file else None,
        taken_at_precision=None if is_of_file else _precision(payload, "taken_at"),
        attributes=payload["attributes"],
        location=(place["lat"], place["lon"]) if place else None,
        source_path=payload.get("source_path", ""),
    )


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _read(text: str | None) -> datetime | None:
    """A time; those of earlier versions that name no zone are of UTC."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _precision(payload: JsonDict, name: str) -> Precision | None:
    """Of a date; points of earlier versions do not state it, and wrote days as midnights."""
    if not payload.get(name):
        return None
    if stated := payload.get(f"{name}_precision"):
        return Precision(stated)
    moment = datetime.fromisoformat(payload[name])
    is_day = moment.tzinfo is None and moment.time() == time()
    return Precision.DAY if is_day else precision_of(moment)
