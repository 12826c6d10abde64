"""Models in service over HTTP, as pydantic models."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from petsearch.domain.strict_model import StrictModel
from petsearch.models.registry import MODEL_ID
from petsearch.reindex.changes import ModelState, Moved
from petsearch.reindex.promotion_checks import Check

ModelId = Annotated[str, StringConstraints(pattern=MODEL_ID)]


class ModelStateBody(BaseModel):
    """A model as it stands with this server."""

    model_id: str
    current: bool = Field(description="ranks the photos now")
    previous: bool = Field(description="a rollback leads to it")
    published: bool
    loaded: bool
    images: int | None = Field(description="in its collection; null where it has none")
    published_at: datetime | None
    figures: dict[str, float] = Field(
        description="what was measured before it was published, such as top1; by name"
    )

    @classmethod
    def of(cls, state: ModelState) -> Self:
        """From the domain's own."""
        return cls(
            model_id=state.model_id,
            current=state.is_current,
            previous=state.is_previous,
            published=state.is_published,
            loaded=state.is_loaded,
            images=state.images,
            published_at=state.published_at,
            figures=dict(state.figures),
        )


class ModelList(BaseModel):
    """All of them, the current one first."""

    items: list[ModelStateBody]


class MovedBody(BaseModel):
    """Another model serves now."""

    model_id: str
    previous: str | None = Field(description="the model that served before")
    took_ms: float
    checks: list[Check] = Field(description="what the gate looked at")

    @classmethod
    def of(cls, moved: Moved) -> Self:
        """From the domain's own."""
        return cls(
            model_id=moved.model_id,
            previous=moved.previous,
            took_ms=round(moved.took_ms, 1),
            checks=list(moved.checks),
        )


class ReindexRequest(StrictModel):
    """Which model to build a collection for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"model_id": "pets-0123456789ab"}]})

    model_id: ModelId
