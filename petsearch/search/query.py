"""What is asked: the parts of a query, and what every kind of search takes."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from petsearch.domain import Embedding, Filters, sha256_of

PromptMode = Literal["auto", "raw"]
"""`auto` puts a text into the model's templates, `raw` takes it as it is."""
SpellingMode = Literal["auto", "off"]
"""`auto` corrects breed names in a text, and says so; `off` takes it as it is."""
GroupBy = Literal["animal"]
SortHits = Literal["score", "distance", "created_at", "taken_at"]
"""What comes first: the best, the nearest to `near`, or the newest by a time."""

NEGATIVE_WEIGHT = 0.3
"""Of what the results should look less like, where the caller names no weight (ADR 0012)."""
_DIGEST_BYTES = 6


@dataclass(frozen=True)
class TextPart:
    """Words that say what is looked for."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """An indexed image, which is left out of the results."""

    image_id: str


@dataclass(frozen=True, repr=False)
class PhotoPart:
    """An encoded photo that is not indexed."""

    data: bytes

    def __repr__(self) -> str:
        """Without the bytes: what tells it from other photos."""
        return f"PhotoPart({sha256_of(self.data)})"


@dataclass(frozen=True, repr=False)
class SharedPhoto(PhotoPart):
    """The small copy of a photo, and what a model made of the photo itself."""

    embedding: Embedding = field(compare=False)
    model_id: str


QueryPart = TextPart | ImagePart | PhotoPart


@dataclass(frozen=True)
class Weighted:
    """A part and how much it counts, above 0."""

    part: QueryPart
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """What the results should look like, and what they should look less like."""

    positive: tuple[Weighted, ...]
    negative: tuple[Weighted, ...] = ()
    prompt: PromptMode = "auto"
    spelling: SpellingMode = "auto"

    @property
    def only_part(self) -> QueryPart | None:
        """The part, where there is but one."""
        if len(self.positive) == 1 and not self.negative:
            return self.positive[0].part
        return None

    def with_texts(self, change: Callable[[str], str]) -> "Query":
        """Return the query with `change` applied to the text of every part that has one."""

        def changed(entry: Weighted) -> Weighted:
            if isinstance(entry.part, TextPart):
                return replace(entry, part=TextPart(change(entry.part.text)))
            return entry

        positive, negative = (tuple(map(changed, side)) for side in (self.positive, self.negative))
        return replace(self, positive=positive, negative=negative)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The indexed images that it names."""
        parts = [entry.part for entry in (*self.positive, *self.negative)]
        return tuple(part.image_id for part in parts if isinstance(part, ImagePart))


@dataclass(frozen=True)
class SearchOptions:
    """What every kind of search takes."""

    limit: int = 20
    filters: Filters = field(default_factory=Filters)
    min_score: float | None = None
    min_confidence: float | None = None
    group_by: GroupBy | None = None
    """`animal`: the best photo of each `animal_id`; a photo without one stands for itself.

    The best by its score, whatever the order: `sort` then places each animal by that photo.
    """
    cursor: str | None = None
    sort: SortHits = "score"
    """Of the best 1,000 hits."""


def digest_of(query: Query, options: SearchOptions) -> bytes:
    """Six bytes that tell one walk from another; the page size may change on the way."""
    asked = replace(options, filters=options.filters.in_order(), limit=0, cursor=None)
    return hashlib.sha256(repr((query, asked)).encode()).digest()[:_DIGEST_BYTES]
