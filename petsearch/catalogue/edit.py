"""Amends the metadata of an image by a JSON merge patch."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from petsearch.domain import ImageMetadata, ImageRecord, JsonDict, ModelInfo, TakenAtSource
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import PhotoMetadata, parse_metadata
from petsearch.domain.places import fold_attribute, stated_attributes, stated_place
from petsearch.ingest.repeats import normalise_metadata

_OF_DATE = frozenset({"taken_at", "taken_at_precision", "taken_at_source"})
"""They are stated together."""


def amended(
    record: ImageRecord,
    changes: Mapping[str, Any],
    model: ModelInfo,
    now: datetime,
    zone: tzinfo = UTC,
    *,
    sees_places: bool = True,
) -> ImageRecord:
    """The record after a JSON merge patch (RFC 7396) of its metadata; null clears a field.

    Fields that are not named stay as they are stored, also if nobody could send what they hold.
    If nothing changes, neither does `updated_at`; a date that is sent back as it is shown does not
    count as stated. A species that is not named follows a breed that is, where the breed is known.
    Attributes are named in any spelling of what they are compared as.

    Args:
        zone: of a date that names none.
        sees_places: whether who changes it sees exact places. For others the cell that the place
            is in is no change of it: they send back what they were shown.

    Raises:
        InvalidInput: a field nobody knows, or a value that it cannot have.
    """
    before = PhotoMetadata.of(record.metadata).model_dump(mode="json")
    if not isinstance(merged := merge_patch(_respelt(before, changes), changes), dict):
        raise InvalidInput("The changes must be a JSON object.")
    if "taken_at" in changes:
        merged["taken_at_source"] = TakenAtSource.STATED
        merged["taken_at_precision"] = changes.get("taken_at_precision")
    else:
        # Without a date beside it, null clears nothing.
        merged.setdefault("taken_at_precision", before["taken_at_precision"])
    metadata = _stated(record.metadata, merged, changes)
    if changes.get("breed") and "species" not in changes:
        derived = normalise_metadata(replace(metadata, species=None), model, zone).species
        metadata = replace(metadata, species=derived or metadata.species)
    metadata = normalise_metadata(metadata, model, zone)
    if _is_date_as_shown(record, metadata, changes):
        metadata = replace(
            metadata,
            taken_at=record.metadata.taken_at,
            taken_at_source=record.metadata.taken_at_source,
            taken_at_precision=record.metadata.taken_at_precision,
        )
    if "location" in changes:
        stored = record.metadata.location
        place = stated_place(stored, metadata.location, sees_places=sees_places)
        metadata = replace(metadata, location=place)
    if "attributes" in changes and changes["attributes"] is None:
        attributes = stated_attributes(record.metadata.attributes, {}, sees_places=sees_places)
        metadata = replace(metadata, attributes=attributes)
    if metadata == record.metadata:
        return record
    return replace(record, metadata=metadata, updated_at=now)


def _stated(stored: ImageMetadata, merged: JsonDict, names: Iterable[str]) -> ImageMetadata:
    """The metadata with the named fields as they are merged; only these are validated."""
    named = set(names)
    if not named.isdisjoint(_OF_DATE):
        named |= _OF_DATE
    said = parse_metadata({k: v for k, v in merged.items() if k in named and v is not None}, "")
    known = named & PhotoMetadata.model_fields.keys()
    return replace(stored, **{name: getattr(said, name) for name in known})


def _respelt(before: JsonDict, changes: Mapping[str, Any]) -> JsonDict:
    """The metadata, its attributes spelt as in the changes that name them."""
    named = changes.get("attributes")
    if not isinstance(named, Mapping):
        return before
    spelling = {fold_attribute(name): name for name in named}
    attributes = {
        spelling.get(fold_attribute(name), name): value
        for name, value in (before.get("attributes") or {}).items()
    }
    return {**before, "attributes": attributes}


def _is_date_as_shown(
    record: ImageRecord, metadata: ImageMetadata, changes: Mapping[str, Any]
) -> bool:
    """Whether changes state the date that there is, with its precision or with none."""
    precision = changes.get("taken_at_precision") or record.taken_at_precision
    return (
        changes.get("taken_at") is not None
        and metadata.taken_at == record.taken_at
        and precision == record.taken_at_precision
    )


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: objects are merged, null removes, anything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged: JsonDict = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged
