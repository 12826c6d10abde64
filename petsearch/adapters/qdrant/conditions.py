"""`Filters` as conditions on payload fields, which each engine expresses in its own types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from petsearch.adapters.qdrant.earlier_points import Spellings
from petsearch.adapters.qdrant.payload import (
    ATTRIBUTES,
    CELL_FIELD,
    LOCATION_FIELD,
    TAGS,
    Words,
    attribute_words,
)
from petsearch.domain import Filters, Near, TimeRange, normalise_name

METRES_PER_KM = 1000.0
_EXACT = ("status", "animal_id")
_NAMES: tuple[Literal["species", "breed"], ...] = ("species", "breed")


GUESS_CONFIDENCES = {"species": "guess.species_confidence", "breed": "prediction.confidence"}
"""Fields that hold how likely a guess is. One of a breed is calibrated where that of the species is
present."""


@dataclass(frozen=True)
class Named:
    """A species or breed that was stated, or that the model's guess does not rule out."""

    field: Literal["species", "breed"]
    name: str
    sure_from: float | None
    """A guess with at least this confidence counts; None: only what was stated does."""
    also: "Named | None" = None
    """What must hold, too, where the name was not stated."""

    @property
    def stated(self) -> str:
        """The payload field with what was stated."""
        return f"label.{self.field}"

    @property
    def guessed(self) -> str:
        """The payload field with the guess."""
        return f"prediction.{self.field}"

    @property
    def least(self) -> dict[str, float]:
        """What a guess must reach by field to count."""
        sure_from = 1.0 if self.sure_from is None else self.sure_from
        return {GUESS_CONFIDENCES["species"]: 0.0, GUESS_CONFIDENCES[self.field]: sure_from}


@dataclass(frozen=True)
class Conditions:
    """What the payload of a point must hold, by field; everything in it has to be true."""

    any_of: list[dict[str, list[str]]]
    """Of each of these, at least one field must hold at least one of its values."""
    none_of: list[tuple[str, list[str]]]
    """Fields that must hold none of these."""
    absent: list[str]
    """Fields that must be absent, null or an empty list."""
    at_least: dict[str, float]
    named: list[list[Named]]
    """Of each of these lists, at least one must hold."""
    not_named: list[Named]
    """None of these may be certain."""
    times: dict[str, TimeRange]
    near: Near | None
    excluded_ids: list[str]
    is_outdated: bool
    """The payload must be of an earlier version."""

    @property
    def near_field(self) -> str:
        """The field with the place that must be near."""
        return LOCATION_FIELD if self.near and self.near.is_exact else CELL_FIELD


def conditions_of(filters: Filters, earlier_tags: Spellings | None) -> Conditions:
    """What `filters` ask, field by field.

    Args:
        earlier_tags: of points that have no folded words, which are then compared as they are
            written, too. None: there are no such points.
    """
    any_of: list[tuple[str, Sequence[str]]] = [
        *((field, getattr(filters, field)) for field in _EXACT),
        ("filename", () if filters.filename is None else (filters.filename,)),
        ("phash_bands", filters.phash_bands),
    ]
    attributes = attribute_words(filters.attributes)
    earlier_attributes: Spellings | None = None if earlier_tags is None else {}
    none_of = [
        *((field, getattr(filters, f"not_{field}")) for field in _EXACT),
        *_holding(TAGS, filters.not_tags, earlier_tags).items(),
    ]
    ranges = {"created_at": filters.created, "taken_at": filters.taken}
    return Conditions(
        any_of=[
            *({field: list(values)} for field, values in any_of if values),
            *(_holding(TAGS, (tag,), earlier_tags) for tag in filters.tags),
            *(_holding(ATTRIBUTES, (words,), earlier_attributes) for words in attributes),
        ],
        none_of=[(field, list(values)) for field, values in none_of if values],
        absent=_absent(filters),
        at_least=_at_least(filters),
        named=[names for field in _NAMES if (names := _names_of(filters, field))],
        not_named=[name for field in _NAMES for name in _names_of(filters, field, "not_")],
        times={field: times for field, times in ranges.items() if times is not None},
        near=filters.near,
        excluded_ids=[*filters.exclude_ids],
        is_outdated=filters.is_outdated,
    )


def _holding(
    words: Words, wanted: Sequence[str], earlier: Spellings | None
) -> dict[str, list[str]]:
    """The values of which a point has one, in one of these fields, if it holds one of `wanted`."""
    folded = {*map(words.fold, wanted)}
    if earlier is None:
        return {words.folded: sorted(folded)}
    spellings = (spelling for one in folded for spelling in earlier.get(one, ()))
    return {words.folded: sorted(folded), words.written: sorted({*wanted, *folded, *spellings})}


def _names_of(
    filters: Filters, field: Literal["species", "breed"], prefix: str = ""
) -> list[Named]:
    of = prefix + field
    unknown = {normalise_name(one.value) for one in filters.unknown if one.field == of}
    sure_from = filters.sure_from
    names: list[Named] = []
    for name in getattr(filters, of):
        if sure_from is None or name in unknown:
            names.append(Named(field, name, None))
        elif field == "species":
            names.append(Named(field, name, sure_from.species))
        else:
            species = filters.species_of_breed.get(name)
            also = Named("species", species, sure_from.species) if species else None
            names.append(Named(field, name, sure_from.breed, also))
    return names


def _absent(filters: Filters) -> list[str]:
    """What nobody stated is missing, whatever a model guesses."""
    fields = [f"label.{field}" if field in _NAMES else field for field in filters.missing]
    return fields + ([f"label.{filters.guessed.field}"] if filters.guessed else [])


def _at_least(filters: Filters) -> dict[str, float]:
    least: dict[str, float] = {}
    if filters.min_sources is not None:
        least["source_count"] = filters.min_sources
    if filters.guessed is not None:
        least[GUESS_CONFIDENCES[filters.guessed.field]] = filters.guessed.at_least
    return least
