"""Losses for images and texts when several of them match each other."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# Below every logit: those of CLIP are at most 100 in absolute value.
_NEVER = -1e4
_SHARPNESS = 12.0
MAX_LOG_SCALE = math.log(100)
"""Upper bound of `logit_scale`, as CLIP was trained with."""
_ON_TOPIC_FLOOR = 0.45
_OFF_TOPIC_CEILING = 0.0


def multi_positive_loss(logits: Tensor, relevant: Tensor) -> Tensor:
    """Mean cross-entropy of each positive against only the negatives of its row.

    The positives of a row do not compete with each other: the "out" form of supervised
    contrastive learning (Khosla et al. 2020, eq. 2) without positives in the denominator.

    Args:
        logits: `(n, m)`.
        relevant: bool `(n, m)`; rows without a positive are ignored.
    """
    negatives = logits.masked_fill(relevant, _NEVER).logsumexp(dim=1, keepdim=True)
    each = F.softplus(negatives - logits) * relevant
    rows = relevant.sum(dim=1)
    return (each.sum(dim=1) / rows.clamp(min=1))[rows > 0].mean()


def contrastive_loss(similarity: Tensor, logit_scale: Tensor, relevant: Tensor) -> Tensor:
    """Multi-positive loss in both directions: cosine `(texts, images)`, bool of the same shape."""
    logits = similarity * logit_scale
    return (multi_positive_loss(logits, relevant) + multi_positive_loss(logits.T, relevant.T)) / 2


def class_loss(
    images: Tensor, classes: Tensor, labels: Tensor, logit_scale: Tensor, label_smoothing: float
) -> Tensor:
    """Cross-entropy of each image against the embeddings of all class names.

    Args:
        images: L2-normalised `(n, dim)`.
        classes: L2-normalised `(classes, dim)`.
        labels: int64 `(n,)`, indices into `classes`.
        logit_scale: factor of the cosines.
        label_smoothing: share of the target that is spread over all classes, 0..1.
    """
    logits = logit_scale * images @ classes.T
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def ranking_loss(images: Tensor, classes: Tensor, labels: Tensor, logit_scale: Tensor) -> Tensor:
    """Each class name's photos against the other photos of the batch, as a text query ranks them.

    Arguments as in `class_loss`; classes without a photo in the batch are ignored.
    """
    relevant = torch.arange(len(classes), device=labels.device)[:, None] == labels[None, :]
    return multi_positive_loss(logit_scale * classes @ images.T, relevant)


def background_loss(
    off_topic: Tensor,
    on_topic: Tensor,
    relevant: Tensor,
    *,
    on_topic_floor: float = _ON_TOPIC_FLOOR,
    off_topic_ceiling: float = _OFF_TOPIC_CEILING,
) -> Tensor:
    """Push the cosine of off-topic texts with every image down, and that of matches up.

    A contrastive loss alone only determines differences, so a text that describes no image could
    still have a high score with all of them.

    Args:
        off_topic: cosine `(off-topic texts, images)`.
        on_topic: cosine `(texts, images)`.
        relevant: bool, shaped as `on_topic`.
        on_topic_floor: cosine that matches should exceed.
        off_topic_ceiling: cosine that off-topic texts should stay below.
    """
    low = F.softplus(_SHARPNESS * (off_topic - off_topic_ceiling)).mean()
    high = F.softplus(_SHARPNESS * (on_topic_floor - on_topic[relevant])).mean()
    return (low + high) / _SHARPNESS
