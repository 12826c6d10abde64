"""What `Filters` ask of payload fields, before each Qdrant adapter says it in its own types."""

from collections.abc import Sequence
from dataclasses import dataclass

from petsearch.model import Filters


@dataclass(frozen=True)
class Conditions:
    """What the payload of a point must hold, by field; everything in it has to be true."""

    equal: dict[str, str]
    any_of: dict[str, list[str]]
    """Lists that must hold at least one of these."""
    at_least: dict[str, int]
    excluded_ids: list[str]

    def __bool__(self) -> bool:
        return bool(self.equal or self.any_of or self.at_least or self.excluded_ids)


def conditions_of(filters: Filters, *, also_exclude: Sequence[str] = ()) -> Conditions:
    """`filters`, and ids to leave out beside those that it names."""
    named = {"species": filters.species, "breed": filters.breed, "filename": filters.filename}
    return Conditions(
        equal={field: value for field, value in named.items() if value is not None},
        any_of={"phash_bands": list(filters.phash_bands)} if filters.phash_bands else {},
        at_least={} if filters.min_sources is None else {"source_count": filters.min_sources},
        excluded_ids=[*filters.exclude_ids, *also_exclude],
    )
