"""Amends the metadata of an image by a JSON merge patch."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from petsearch.domain import ImageRecord, JsonDict, ModelInfo, TakenAtSource
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import PhotoMetadata, parse_metadata
from petsearch.ingest.repeats import normalise_metadata


def amended(
    record: ImageRecord, changes: Mapping[str, Any], model: ModelInfo, now: datetime
) -> ImageRecord:
    """The record after a JSON merge patch (RFC 7396) of its metadata; null clears a field.

    If nothing changes, neither does `updated_at`. A species that is not named follows a breed that
    is, where the breed is known.

    Raises:
        InvalidInput: a field nobody knows, or a value that it cannot have.
    """
    before = PhotoMetadata.of(record.metadata).model_dump(mode="json")
    if not isinstance(merged := merge_patch(before, changes), dict):
        raise InvalidInput("The changes must be a JSON object.")
    if "taken_at" in changes:
        merged["taken_at_source"] = TakenAtSource.STATED
    said = parse_metadata({k: v for k, v in merged.items() if v is not None}, "")
    if changes.get("breed") and "species" not in changes:
        derived = normalise_metadata(replace(said, species=None), model).species
        said = replace(said, species=derived or said.species)
    metadata = normalise_metadata(said, model)
    if metadata == record.metadata:
        return record
    return replace(record, metadata=metadata, updated_at=now)


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
