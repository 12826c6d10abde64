"""What the scores of one query are worth: confidence, a least score, off topic or not."""

from dataclasses import dataclass, replace

from petsearch.domain import Embedding, Hit, ModelInfo
from petsearch.domain.calibration import QueryCalibration, QueryKind, query_kind_of
from petsearch.domain.errors import InvalidInput
from petsearch.domain.searches import CONFIDENCE_DECIMALS, SCORE_DECIMALS, least_shown_as
from petsearch.search.query import Query, QueryPart, SearchOptions, TextPart

_ABOVE_ALL_SCORES = 1.01


@dataclass(frozen=True)
class ScoreWorth:
    """What the scores of one query are worth, as far as its model is calibrated."""

    kind: QueryKind | None
    """None if its results are not calibrated."""
    calibration: QueryCalibration | None
    is_text: bool

    @classmethod
    def of(cls, query: Query, model: ModelInfo, embedding: Embedding) -> "ScoreWorth":
        """Only one text as prompted, or one photo, is what models are calibrated for."""
        part = query.only_part
        is_text = isinstance(part, TextPart)
        calibration = model.calibration
        if calibration is None or part is None or (is_text and query.prompt == "raw"):
            return cls(None, None, is_text=False)
        kind, of_query = _kind_of(part, model), calibration.query(embedding)
        return cls(kind if kind and of_query.knows(kind) else None, of_query, is_text=is_text)

    def lowest_score(self, options: SearchOptions) -> float | None:
        """Where to cut; a least confidence is a least score for each query.

        Both are compared as they are shown: what a hit is shown with does not leave it out.
        """
        least = options.min_score
        if least is not None:
            least = least_shown_as(least, SCORE_DECIMALS)
        if options.min_confidence is None:
            return least
        if self.kind is None or self.calibration is None:
            raise InvalidInput(
                "min_confidence needs a calibrated model and a query that is one photo, or that "
                "names a breed or a species and nothing else; leave it out or use min_score."
            )
        confidence = least_shown_as(options.min_confidence, CONFIDENCE_DECIMALS)
        score = self.calibration.score_at(self.kind, confidence)
        # A score is a cosine; the index takes no infinity.
        score = max(-1.0, min(_ABOVE_ALL_SCORES, score))
        return score if least is None else max(score, least)

    def judged(self, hit: Hit) -> Hit:
        """With its confidence, where that is known."""
        if self.kind is None or self.calibration is None:
            return hit
        return replace(hit, confidence=self.calibration.confidence(self.kind, hit.score))

    def is_off_topic(self, best_score: float) -> bool | None:
        """Whether the text seems to be about something else; None where the model cannot tell."""
        if self.calibration is None or not self.is_text:
            return None
        return self.calibration.is_off_topic(best_score)


def _kind_of(part: QueryPart, model: ModelInfo) -> QueryKind | None:
    if not isinstance(part, TextPart):
        return "photo"
    labels = model.labels
    species = {label.species for label in labels}
    return query_kind_of(part.text, [label.breed for label in labels], sorted(species))
