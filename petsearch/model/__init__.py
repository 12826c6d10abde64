"""The words of the domain as frozen dataclasses: images, models, searches and jobs."""

from petsearch.model.arrays import (
    Embedding,
    Embeddings,
    JsonDict,
    Pixels,
)
from petsearch.model.clip import (
    Label,
    ModelInfo,
    ModelUsage,
    PixelSpec,
    Priority,
)
from petsearch.model.identity import (
    IMAGE_NAMESPACE,
    hash_bands,
    hash_distance,
    image_id_of,
    normalise_name,
    sha256_of,
)
from petsearch.model.images import (
    ImageMetadata,
    ImageRecord,
    ItemRef,
    Point,
    Prediction,
)
from petsearch.model.jobs import (
    _FINAL_STATES,
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
from petsearch.model.searches import (
    Filters,
    Hit,
    Near,
    SearchResult,
    SortBy,
    TimeRange,
)

__all__ = [
    "IMAGE_NAMESPACE",
    "_FINAL_STATES",
    "Embedding",
    "Embeddings",
    "Filters",
    "Hit",
    "ImageMetadata",
    "ImageRecord",
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
