"""The vocabulary of the project: images, models, searches and jobs as frozen dataclasses.

These names are shared by many packages, so there are more of them than in other packages. What few
need is imported from its module: `errors`, `api_keys`, `metadata`, `calibration`, `prompts` and
`object_keys`, and of `identity` what compares perceptual hashes.
"""

from petsearch.domain.arrays import (
    Embedding,
    Embeddings,
    JsonDict,
    Pixels,
)
from petsearch.domain.identity import (
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
    TakenAtSource,
)
from petsearch.domain.jobs import (
    MOST_LEFT_OUT_NAMES,
    Item,
    ItemStatus,
    ItemWarning,
    Job,
    JobKind,
    JobOptions,
    JobState,
    LeftOut,
    LeftOutReason,
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
    Precision,
    Priority,
)
from petsearch.domain.places import fold_attribute
from petsearch.domain.searches import (
    Filters,
    Guessed,
    Hit,
    MissingField,
    Near,
    SearchResult,
    SortBy,
    SureFrom,
    TimeRange,
    UnknownName,
)
from petsearch.domain.visible_text import fold

__all__ = [
    "MOST_LEFT_OUT_NAMES",
    "Embedding",
    "Embeddings",
    "Filters",
    "Guessed",
    "Hit",
    "ImageMetadata",
    "ImageRecord",
    "Interpolation",
    "Item",
    "ItemRef",
    "ItemStatus",
    "ItemWarning",
    "Job",
    "JobKind",
    "JobOptions",
    "JobState",
    "JsonDict",
    "Label",
    "LeftOut",
    "LeftOutReason",
    "MissingField",
    "ModelInfo",
    "ModelUsage",
    "Near",
    "NewJob",
    "OnDuplicate",
    "Outcome",
    "PixelSpec",
    "Pixels",
    "Point",
    "Precision",
    "Prediction",
    "Priority",
    "QueueName",
    "SearchResult",
    "SortBy",
    "SureFrom",
    "TakenAtSource",
    "TimeRange",
    "UnknownName",
    "fold",
    "fold_attribute",
    "image_id_of",
    "normalise_name",
    "sha256_of",
]
