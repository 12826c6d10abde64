"""What is kept of what clients say about an image: the first time, and when it comes again."""

from dataclasses import replace

from petsearch.model import (
    ImageMetadata,
    ImageRecord,
    ItemRef,
    ModelInfo,
    OnDuplicate,
    normalise_name,
)
from petsearch.prompts import species_of

MAX_SOURCES = 20
"""How many items that brought the same image are remembered with it."""


def completed(said: ImageMetadata, model: ModelInfo) -> ImageMetadata:
    """Names as they are stored, and the species of a known breed where only the breed was said."""
    breed = normalise_name(said.breed) if said.breed else None
    species = normalise_name(said.species) if said.species else None
    if breed and not species:
        of_model = {label.breed: label.species for label in model.labels}
        species = of_model.get(breed) or species_of(breed)
    status = normalise_name(said.status) if said.status else None
    return replace(said, breed=breed or None, species=species or None, status=status or None)


def settled(
    record: ImageRecord, said: ImageMetadata, source: ItemRef, on_duplicate: OnDuplicate
) -> ImageRecord:
    """The record after an item brought its image once more; the same one if nothing changes."""
    if on_duplicate is OnDuplicate.KEEP or source in record.sources:
        return record
    sources = (*record.sources, source)[:MAX_SOURCES]
    metadata = said if on_duplicate is OnDuplicate.REPLACE else filled(record.metadata, said)
    return replace(record, metadata=metadata, sources=sources)


def filled(before: ImageMetadata, said: ImageMetadata) -> ImageMetadata:
    """Fill what is not said yet and add new tags; what was said before stays."""
    return ImageMetadata(
        filename=before.filename or said.filename,
        breed=before.breed or said.breed,
        species=before.species or said.species,
        animal_id=before.animal_id or said.animal_id,
        status=before.status or said.status,
        tags=tuple(dict.fromkeys((*before.tags, *said.tags))),
        taken_at=before.taken_at or said.taken_at,
        attributes={**said.attributes, **before.attributes},
    )
