"""Filters and results of searches."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from petsearch.domain.images import ImageRecord


@dataclass(frozen=True)
class Near:
    """Within `km` kilometres of a place in degrees."""

    lat: float
    lon: float
    km: float


@dataclass(frozen=True)
class TimeRange:
    """From `since` up to but excluding `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Filters:
    """Conditions that every hit has to satisfy."""

    species: str | None = None
    breed: str | None = None
    filename: str | None = None
    min_sources: int | None = None
    """The image was added by at least this many items."""
    phash_bands: tuple[str, ...] = ()
    """At least one of these is in the `hash_bands` of the image's perceptual hash."""
    status: str | None = None
    animal_id: str | None = None
    tags: tuple[str, ...] = ()
    """All of them."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """All of them; values are compared for equality."""
    near: Near | None = None
    created: TimeRange | None = None
    taken: TimeRange | None = None
    """Photos without `taken_at` never match."""
    exclude_ids: tuple[str, ...] = ()


SortBy = Literal["created_at", "taken_at"]
"""How lists without a query are sorted, newest first."""


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
    no_good_match: bool = False
    """There are no hits, or the query is off topic."""
    searched_for: str | None = None
    """The corrected text, if the spelling of a name was corrected."""
    next_cursor: str | None = None
    tokens_read: int | None = None
    """Of a text that is longer than the model reads, with its prompt; None if all is read."""
    took_ms: float = field(default=0.0, compare=False)
