"""What may be asked of the catalogue, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from petsearch.domain.images import ImageRecord


@dataclass(frozen=True)
class Near:
    """Not farther than `km` kilometres from a place in degrees."""

    lat: float
    lon: float
    km: float


@dataclass(frozen=True)
class TimeRange:
    """From `since` to before `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Filters:
    """What a hit must satisfy; only what the caller sent."""

    species: str | None = None
    breed: str | None = None
    filename: str | None = None
    min_sources: int | None = None
    """At least so many items brought the image."""
    phash_bands: tuple[str, ...] = ()
    """At least one of these (`hash_bands`) is a band of the image's perceptual hash."""
    status: str | None = None
    animal_id: str | None = None
    tags: tuple[str, ...] = ()
    """All of them."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """All of them, by equality."""
    near: Near | None = None
    created: TimeRange | None = None
    taken: TimeRange | None = None
    """Photos that do not say when they were taken are in no such range."""
    exclude_ids: tuple[str, ...] = ()


SortBy = Literal["created_at", "taken_at"]
"""What a list without a query is sorted by, the newest first."""


@dataclass(frozen=True)
class Hit:
    """One search result. `score` is cosine similarity, -1..1, higher is better."""

    record: ImageRecord
    score: float
    confidence: float | None = None
    """Which share of such results is right, where the model is calibrated for such queries."""


@dataclass(frozen=True)
class SearchResult:
    """Hits, best first, and the model that ranked them."""

    hits: tuple[Hit, ...]
    model_id: str
    no_good_match: bool = False
    """There are no hits, or the query seems to be about something else than these photos."""
    searched_for: str | None = None
    """The corrected text, where a name in it was corrected."""
    next_cursor: str | None = None
