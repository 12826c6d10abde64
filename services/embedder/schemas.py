"""What the embedder takes and answers, as JSON."""

from dataclasses import asdict
from typing import Self

from pydantic import BaseModel, Field

from petsearch.domain import ModelInfo
from petsearch.domain.calibration import Calibration


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


class ModelToLoad(BaseModel):
    """Which model to load beside the current one."""

    spec: str = Field(
        min_length=1,
        max_length=1000,
        description="hub:<arch>/<tag>, dir:<folder>, s3:<model_id>, sample",
    )


class LabelBody(BaseModel):
    """A breed the model can name."""

    breed: str
    species: str


class PixelSpecBody(BaseModel):
    """What pixels the model wants."""

    height: int
    width: int
    resize_mode: str
    interpolation: str
    fill_color: int


class ModelBody(BaseModel):
    """Every field of `petsearch.domain.ModelInfo`."""

    model_id: str
    spec: str
    dim: int
    pixel_spec: PixelSpecBody
    logit_scale: float
    labels: list[LabelBody]
    prompt_templates: list[str]
    label_templates: list[str]
    device: str
    precision: str
    calibration: Calibration | None = Field(None, description="As in calibration.json.")

    @classmethod
    def of(cls, model: ModelInfo) -> Self:
        """As JSON."""
        return cls.model_validate(asdict(model))


class LoadedModels(BaseModel):
    """The loaded models, the default one first."""

    models: list[ModelBody]

    @classmethod
    def of(cls, models: tuple[ModelInfo, ...]) -> Self:
        """All of them."""
        return cls(models=[ModelBody.of(model) for model in models])


class Health(BaseModel):
    """How the service stands."""

    status: str
