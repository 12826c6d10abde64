"""What a composed search asks, and what searches answer, as pydantic models."""

from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from petsearch.domain import Hit, SearchResult
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import Count, Number, naming_fields
from petsearch.domain.searches import CONFIDENCE_DECIMALS, SCORE_DECIMALS
from petsearch.domain.strict_model import QueryModel, read_json
from petsearch.search import (
    GroupBy,
    ImagePart,
    PhotoPart,
    PromptMode,
    Query,
    SearchOptions,
    SortHits,
    SpellingMode,
    TextPart,
    Weighted,
)
from petsearch.search.query import NEGATIVE_WEIGHT, QueryPart
from services.api.dependencies import GROUP_BY, MAX_RESULTS, SORT_HITS, Cursor, QueryText
from services.api.filter_parameters import FiltersBody
from services.api.schemas.common import CALIBRATED, ListedImage, Unknown, View, image_fields

_MOST_EXAMPLES = 10
Weight = Annotated[Number, Field(gt=0, le=100)]


class Example(QueryModel):
    """A text, or an indexed image."""

    text: QueryText | None = None
    image_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.text is None) == (self.image_id is None):
            raise ValueError("give either text or image_id")
        return self

    def to_part(self) -> QueryPart:
        """The domain's part of a query."""
        return TextPart(self.text or "") if self.image_id is None else ImagePart(str(self.image_id))


class Weights(QueryModel):
    """How much each part counts beside the others."""

    text: Weight = 1.0
    image: Annotated[Weight, Field(description="Of image_id.")] = 1.0
    photo: Annotated[Weight, Field(description="Of the photo that was sent or shared.")] = 1.0
    positive: Annotated[Weight, Field(description="Of each further positive example.")] = 1.0
    negative: Annotated[Weight, Field(description="Of each negative example.")] = NEGATIVE_WEIGHT


class SearchRequest(QueryModel):
    """A search by words, by an indexed image, or by both, and by what it should look less like."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "text": "persian cat",
                    "negative": [{"text": "white cat"}],
                    "filters": {"status": "shelter"},
                    "group_by": "animal",
                    "limit": 10,
                }
            ]
        },
    )

    text: QueryText | None = None
    image_id: UUID | None = None
    shared: Annotated[
        str | None,
        Field(max_length=64, description="The share_id of a shared search, for its photo."),
    ] = None
    positive: list[Example] = Field(
        [],
        max_length=_MOST_EXAMPLES,
        description="More texts and indexed images that the results should look like.",
    )
    negative: list[Example] = Field([], max_length=_MOST_EXAMPLES)
    weights: Weights = Weights()
    filters: FiltersBody = FiltersBody()
    group_by: Annotated[GroupBy | None, Field(description=GROUP_BY)] = None
    min_score: Annotated[Number | None, Field(ge=-1.0, le=1.0)] = None
    min_confidence: Annotated[Number | None, Field(ge=0.0, le=1.0)] = None
    limit: Annotated[Count, Field(ge=1, le=MAX_RESULTS)] = 20
    cursor: Cursor | None = None
    sort: Annotated[SortHits, Field(description=SORT_HITS)] = "score"
    prompt: PromptMode = "auto"
    spelling: SpellingMode = "auto"

    def to_query(self, photo: PhotoPart | None = None) -> Query:
        """The domain's query.

        Args:
            photo: that was sent, or is shared.

        Raises:
            InvalidInput: it says nothing of what to look for.
        """
        positive = []
        if self.text is not None:
            positive.append(Weighted(TextPart(self.text), self.weights.text))
        if self.image_id is not None:
            positive.append(Weighted(ImagePart(str(self.image_id)), self.weights.image))
        if photo is not None:
            positive.append(Weighted(photo, self.weights.photo))
        weight = self.weights.positive
        positive += [Weighted(entry.to_part(), weight) for entry in self.positive]
        if not positive:
            raise InvalidInput("Say what to look for: text, image_id, positive, or several.")
        self._check_weights(photo)
        negative = [Weighted(entry.to_part(), self.weights.negative) for entry in self.negative]
        return Query(tuple(positive), tuple(negative), self.prompt, self.spelling)

    def _check_weights(self, photo: PhotoPart | None) -> None:
        weighed = {
            "text": self.text,
            "image": self.image_id,
            "photo": photo,
            "positive": self.positive,
            "negative": self.negative,
        }
        for name in self.weights.model_fields_set:
            if not weighed[name]:
                raise InvalidInput(f"weights.{name} weighs nothing: the search has no such part.")

    def to_options(self, view: View) -> SearchOptions:
        """The domain's options, which tell no more of places than the caller may see."""
        filters = self.filters.to_domain()
        return SearchOptions(
            limit=self.limit,
            filters=filters if view.sees_places else filters.in_cells(),
            min_score=self.min_score,
            min_confidence=self.min_confidence,
            group_by=self.group_by,
            cursor=self.cursor,
            sort=self.sort,
        )


def parse_request(words: str) -> SearchRequest:
    """The form field `query` beside a photo: the same JSON.

    Raises:
        InvalidInput: not JSON, a field nobody knows, or one more photo.
    """
    with naming_fields("query"):
        request = SearchRequest.model_validate(read_json(words, "query"))
    if request.shared is not None:
        raise InvalidInput("query: shared is given beside a photo; give one of them.")
    return request


class HitBody(ListedImage):
    """A search result. `score` is cosine similarity; higher is better."""

    score: float
    confidence: float | None = Field(
        None, description="Calibrated share of such results that are right; null where not known."
    )


class SearchAnswer(BaseModel):
    """Results, best first."""

    items: list[HitBody]
    no_good_match: bool | None = Field(
        description="Nothing was found, or the query seems to be about something else: what is "
        "listed does not stand out from photos in general. Null where that is not known: the model "
        "is not calibrated, it was not measured to flag 80 % of such texts (lower 95 % bound) at "
        "5 % false alarms, or the query is not a single text."
    )
    same_animal_probability: None = Field(
        None,
        description="Always null: no model is calibrated on photos of known animals, so results "
        "look alike, and nothing tells whether one shows the same animal.",
    )
    searched_for: str | None = Field(
        None, description="The text that was searched for, where a breed's name was corrected."
    )
    truncated: bool = Field(
        description="A text is longer than the model reads; only its beginning counts."
    )
    tokens_read: int | None = Field(
        None, description="Of such a text, with its prompt; null where all of it is read."
    )
    hint: Literal["english_only"] | None = Field(
        None, description="english_only: a text seems to be in a language the model does not know."
    )
    predictions_calibrated: bool | None = CALIBRATED
    next_cursor: str | None = None
    unknown: Unknown
    model_id: str
    took_ms: float

    @classmethod
    def of(cls, result: SearchResult, view: View) -> Self:
        """From a search result; see `ImageRecord.species_source`."""
        # One call checks it all: a model for every part took several times as long.
        return cls.model_validate(
            {
                "items": [_hit_fields(hit, view) for hit in result.hits],
                "no_good_match": result.no_good_match,
                "searched_for": result.searched_for,
                "truncated": result.tokens_read is not None,
                "tokens_read": result.tokens_read,
                "hint": "english_only" if result.is_beyond_language else None,
                "predictions_calibrated": result.predictions_calibrated,
                "next_cursor": result.next_cursor,
                "unknown": result.unknown,
                "model_id": result.model_id,
                "took_ms": round(result.took_ms, 2),
            }
        )

    def to_json(self) -> Response:
        """As it goes over the wire; returned by a route, it spares FastAPI's own second check."""
        return Response(self.__pydantic_serializer__.to_json(self), media_type="application/json")


def _hit_fields(hit: Hit, view: View) -> dict[str, object]:
    return {
        **image_fields(hit.record, view),
        "distance_m": view.metres_to(hit.record),
        "score": round(hit.score, SCORE_DECIMALS),
        "confidence": (
            None if hit.confidence is None else round(hit.confidence, CONFIDENCE_DECIMALS)
        ),
    }


class FacetValue(BaseModel):
    """A value and how many images have it."""

    value: str
    count: int


class Facets(BaseModel):
    """Values of a field, the most frequent first."""

    by: str
    values: list[FacetValue]
    unsure: int | None = Field(
        None, description="Images that are in no value, because nobody stated theirs."
    )
    predictions_calibrated: bool | None = CALIBRATED
    unknown: Unknown
