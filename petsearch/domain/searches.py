"""Filters and results of searches."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from math import ceil
from typing import Any, Literal

from petsearch.domain.dates import bound_in
from petsearch.domain.images import ImageRecord
from petsearch.domain.places import Place, cell_of, check_shown, distance_m


@dataclass(frozen=True)
class Near:
    """Within `km` kilometres of a place in degrees."""

    lat: float
    lon: float
    km: float
    is_exact: bool = True
    """Of photos' places; otherwise of the centres of their cells (`petsearch.domain.places`)."""

    def metres_to(self, place: Place) -> float:
        """How far a photo's place is, or its cell."""
        return distance_m((self.lat, self.lon), place if self.is_exact else cell_of(place))


@dataclass(frozen=True)
class TimeRange:
    """From `since` up to but excluding `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def in_zone(self, zone: tzinfo) -> "TimeRange":
        """The range between instants, which `zone` makes of times without a zone."""
        return TimeRange(
            self.since and bound_in(self.since, zone), self.until and bound_in(self.until, zone)
        )


MissingField = Literal["location", "animal_id", "status", "taken_at", "species", "breed", "tags"]
"""What a photo may have nothing in."""


@dataclass(frozen=True)
class SureFrom:
    """The calibrated probabilities from which a guess leaves photos out."""

    species: float
    breed: float


@dataclass(frozen=True)
class Guessed:
    """Nobody stated the field, and its guess has at least this confidence."""

    field: Literal["species", "breed"]
    at_least: float


@dataclass(frozen=True)
class UnknownName:
    """A species or breed in a filter that neither the model nor any photo has."""

    field: str
    """Of `Filters`, such as `not_breed`."""
    value: str
    did_you_mean: str | None = None


@dataclass(frozen=True)
class Filters:
    """Conditions that every hit has to satisfy."""

    species: tuple[str, ...] = ()
    """Any of them; so for the next three."""
    breed: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    animal_id: tuple[str, ...] = ()
    not_species: tuple[str, ...] = ()
    """None of them; so for the next four. Photos that have none match."""
    not_breed: tuple[str, ...] = ()
    not_status: tuple[str, ...] = ()
    not_animal_id: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    missing: tuple[MissingField, ...] = ()
    """The photo has nothing in any of these."""
    filename: str | None = None
    min_sources: int | None = None
    """The image was added by at least this many items."""
    phash_bands: tuple[str, ...] = ()
    """At least one of these is in the `hash_bands` of the image's perceptual hash."""
    tags: tuple[str, ...] = ()
    """All of them, compared as `fold` writes them; so are `not_tags`."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """All of them, names and values compared as `fold` writes them."""
    near: Near | None = None
    created: TimeRange | None = None
    taken: TimeRange | None = None
    """Photos without `taken_at` never match."""
    exclude_ids: tuple[str, ...] = ()
    sure_from: SureFrom | None = None
    """How `species` and `breed` are read where nobody stated them. None: such a photo does not
    match, which is right for whatever changes or deletes. Otherwise it matches, unless another
    name is as probable as this."""
    species_of_breed: Mapping[str, str] = field(default_factory=dict)
    """What is known of those in `breed`: with `sure_from`, other species do not match."""
    guessed: "Guessed | None" = None
    unknown: tuple[UnknownName, ...] = ()
    """Of the names above, those that no photo can have; no guess is one of them."""
    is_outdated: bool = False
    """An earlier version wrote the point, without fields that filters need."""

    @property
    def asks_for_guesses(self) -> bool:
        """Whether guesses of species or breeds decide what matches."""
        return any((self.species, self.breed, self.not_species, self.not_breed))

    def in_cells(self) -> "Filters":
        """For callers that do not see exact places: no filter tells more than the cell.

        Raises:
            InvalidInput: it asks for an attribute that tells a place.
        """
        for name in self.attributes:
            check_shown(name)
        near = replace(self.near, is_exact=False) if self.near else None
        return replace(self, near=near)

    def in_order(self) -> "Filters":
        """Equal for filters that ask the same in another order."""
        lists: dict[str, Any] = {
            name: tuple(sorted({*values}, key=repr))
            for name, values in vars(self).items()
            if isinstance(values, tuple)
        }
        return replace(self, **lists, attributes=dict(sorted(self.attributes.items())))


SortBy = Literal["created_at", "taken_at"]
"""How lists without a query are sorted, newest first."""


SCORE_DECIMALS = 6
CONFIDENCE_DECIMALS = 4
"""With which they are shown."""


def least_shown_as(least: float, decimals: int) -> float:
    """Hardly less than the least number shown as `least`, so that a shown number keeps its hit."""
    unit = 10.0**-decimals
    # Rounded before, because 0.293769 / unit is not whole. A little below the half, because Qdrant
    # takes it for a float32 and keeps what is greater.
    return (ceil(round(least / unit, 3)) - 0.55) * unit


@dataclass(frozen=True)
class Hit:
    """One search result. `score` is cosine similarity, -1..1, higher is better."""

    record: ImageRecord
    score: float
    confidence: float | None = None
    """The probability that the hit is right; None if the model is not calibrated for the query."""


@dataclass(frozen=True)
class SearchResult:
    """Hits, best first, and the model that ranked them."""

    hits: tuple[Hit, ...]
    model_id: str
    no_good_match: bool | None = None
    """There are no hits, or the query is off topic; None where the latter is not known."""
    searched_for: str | None = None
    """The corrected text, if the spelling of a name was corrected."""
    next_cursor: str | None = None
    unknown: tuple[UnknownName, ...] = ()
    is_beyond_language: bool = False
    """A text seems to be in a language that the model does not know."""
    tokens_read: int | None = None
    """Of a text that is longer than the model reads, with its prompt; None if all is read."""
    predictions_calibrated: bool | None = None
    """Whether guesses of species and breeds are; None if no filter asks for one."""
    took_ms: float = field(default=0.0, compare=False)
