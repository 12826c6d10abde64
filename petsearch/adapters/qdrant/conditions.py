"""`Filters` as conditions on payload fields, which each engine expresses in its own types."""

from dataclasses import dataclass

from petsearch.adapters.qdrant.payload import attribute_words
from petsearch.domain import Filters, Near, TimeRange

METRES_PER_KM = 1000.0


@dataclass(frozen=True)
class Conditions:
    """What the payload of a point must hold, by field; everything in it has to be true."""

    equal: list[tuple[str, str]]
    any_of: dict[str, list[str]]
    """Lists that must hold at least one of these."""
    at_least: dict[str, int]
    times: dict[str, TimeRange]
    near: Near | None
    excluded_ids: list[str]


def conditions_of(filters: Filters) -> Conditions:
    """What `filters` ask, field by field."""
    single = {
        "species": filters.species,
        "breed": filters.breed,
        "filename": filters.filename,
        "status": filters.status,
        "animal_id": filters.animal_id,
    }
    equal = [(field, value) for field, value in single.items() if value is not None]
    equal += [("tags", tag) for tag in filters.tags]
    equal += [("attributes_list", word) for word in attribute_words(filters.attributes)]
    ranges = {"created_at": filters.created, "taken_at": filters.taken}
    return Conditions(
        equal=equal,
        any_of={"phash_bands": list(filters.phash_bands)} if filters.phash_bands else {},
        at_least={} if filters.min_sources is None else {"source_count": filters.min_sources},
        times={field: times for field, times in ranges.items() if times is not None},
        near=filters.near,
        excluded_ids=[*filters.exclude_ids],
    )
