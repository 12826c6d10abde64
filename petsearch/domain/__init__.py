"""The words of the domain as frozen dataclasses: images, models, searches and jobs."""

from petsearch.domain.arrays import (
    Embedding,
    Embeddings,
    JsonDict,
    Pixels,
)
from petsearch.domain.identity import (
    IMAGE_NAMESPACE,
    hash_bands,
    hash_distance,
    image_id_of,
    normalise_name,
    sha256_of,
)
from petsearch.domain.images import (
    ImageMetadata,
    ImageRecord,
    ItemRef,
    Point,
    Prediction,
)
from petsearch.domain.jobs import (
    Item,
    ItemStatus,
    Job,
    JobKind,
    JobState,
    NewJob,
    OnDuplicate,
    Outcome,
    QueueName,
)
from petsearch.domain.model_info import (
    Interpolation,
    Label,
    ModelInfo,
    ModelUsage,
    PixelSpec,
    Priority,
)
from petsearch.domain.searches import (
    Filters,
    Hit,
    Near,
    SearchResult,
    SortBy,
    TimeRange,
)

__all__ = [
    "IMAGE_NAMESPACE",
    "Embedding",
    "Embeddings",
    "Filters",
    "Hit",
    "ImageMetadata",
    "ImageRecord",
    "Interpolation",
    "Item",
    "ItemRef",
    "ItemStatus",
    "Job",
    "JobKind",
    "JobState",
    "JsonDict",
    "Label",
    "ModelInfo",
    "ModelUsage",
    "Near",
    "NewJob",
    "OnDuplicate",
    "Outcome",
    "PixelSpec",
    "Pixels",
    "Point",
    "Prediction",
    "Priority",
    "QueueName",
    "SearchResult",
    "SortBy",
    "TimeRange",
    "hash_bands",
    "hash_distance",
    "image_id_of",
    "normalise_name",
    "sha256_of",
]
