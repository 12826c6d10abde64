"""How an `ImageRecord` is written as the payload of a Qdrant point, and read back."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from petsearch.domain import (
    ImageMetadata,
    ImageRecord,
    ItemRef,
    JsonDict,
    Prediction,
    TakenAtSource,
)
from petsearch.domain.identity import hash_bands

VERSION_FIELD = "updated_at"
"""The payload field that changes with every change of a record."""
LOCATION_FIELD = "location"
"""`{lat, lon}` or null."""
INDEXED_FIELDS = {
    "species": "keyword",
    "breed": "keyword",
    "filename": "keyword",
    "animal_id": "keyword",
    "status": "keyword",
    "tags": "keyword",
    "attributes_list": "keyword",
    "sha256": "keyword",
    "job_id": "keyword",
    "phash_bands": "keyword",
    "source_count": "integer",
    LOCATION_FIELD: "geo",
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
        "prediction": asdict(record.prediction) if record.prediction else None,
        "animal_id": said.animal_id,
        "status": said.status,
        "tags": list(said.tags),
        "taken_at": _written(record.taken_at),
        "taken_at_source": record.taken_at_source,
        "exif_taken_at": _written(record.exif_taken_at),
        "attributes": dict(said.attributes),
        "attributes_list": attribute_words(said.attributes),
        LOCATION_FIELD: {"lat": place[0], "lon": place[1]} if place else None,
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


def attribute_words(attributes: Mapping[str, str]) -> list[str]:
    """Attributes as the keywords they are filtered by: `colour=red`."""
    return [f"{key}={value}" for key, value in sorted(attributes.items())]


def from_payload(image_id: str, payload: JsonDict) -> ImageRecord:
    """The record that `to_payload` wrote."""
    return ImageRecord(
        image_id=image_id,
        sha256=payload["sha256"],
        metadata=_metadata_from(payload),
        prediction=Prediction(**payload["prediction"]) if payload["prediction"] else None,
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
    )


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
        attributes=payload["attributes"],
        location=(place["lat"], place["lon"]) if place else None,
        source_path=payload.get("source_path", ""),
    )


def _written(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _read(time: str | None) -> datetime | None:
    return datetime.fromisoformat(time) if time else None
