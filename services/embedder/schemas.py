"""What the embedder takes and answers, as JSON."""

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, Field

from petsearch.model import JsonDict, ModelInfo


class TextsToEmbed(BaseModel):
    """Texts, embedded as they are, without a prompt template."""

    texts: list[str] = Field(min_length=1, max_length=1024, examples=[["a photo of a cat"]])
    model_id: str | None = Field(None, description="The default model if not given.")


class EmbeddingsBody(BaseModel):
    """Embeddings `(n, dim)`, float32, L2-normalised."""

    model_id: str
    embeddings: list[list[float]]


class FailedImage(BaseModel):
    """An image that could not be embedded, and why."""

    position: int
    filename: str
    detail: str


class ImageEmbeddingsBody(BaseModel):
    """One embedding for each image, null for those in `failed`."""

    model_id: str
    embeddings: list[list[float] | None]
    failed: list[FailedImage]


class LoadedModels(BaseModel):
    """The loaded models, the default one first."""

    models: list[JsonDict]

    @classmethod
    def of(cls, models: tuple[ModelInfo, ...]) -> Self:
        """Every field of `petsearch.model.ModelInfo`."""
        return cls(models=[asdict(model) for model in models])


class Health(BaseModel):
    """How the service stands."""

    status: str
