"""Request and response bodies of the embedder."""

from pydantic import BaseModel, Field

from petsearch.domain import ModelInfo


class TextsToEmbed(BaseModel):
    """Texts, embedded as they are, without a prompt template."""

    texts: list[str] = Field(min_length=1, max_length=1024, examples=[["a photo of a cat"]])
    model_id: str | None = Field(None, description="The default model if not given.")


class TokenCounts(BaseModel):
    """Tokens of each text before it is cut, with the marks of its start and end."""

    counts: list[int]


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


class ModelToLoad(BaseModel):
    """Which model to load beside the current one."""

    spec: str = Field(
        min_length=1,
        max_length=1000,
        description="hub:<arch>/<tag>, dir:<folder>, s3:<model_id>, sample",
    )


class LoadedModels(BaseModel):
    """The loaded models, the default one first."""

    models: tuple[ModelInfo, ...]
    is_ready: bool = Field(
        default=True, description="Whether it serves the model that is searched with."
    )
    failed: dict[str, str] = Field(
        {}, description="Why models that it is to serve cannot be loaded, by their address."
    )
