"""Losses for images and texts of which several match each other."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Below every real logit: CLIP's are at most 100 in size.
_NEVER = -1e4
_SHARPNESS = 12.0
_ON_TOPIC_FLOOR = 0.45
_OFF_TOPIC_CEILING = 0.0


def multi_positive_loss(logits: Tensor, relevant: Tensor) -> Tensor:
    """Cross-entropy of each positive against the row's negatives alone, averaged.

    The positives of a row do not compete with one another, as in the "out" form of supervised
    contrastive learning (Khosla et al. 2020, eq. 2) without positives in the denominator.

    Args:
        logits: `(n, m)`.
        relevant: bool `(n, m)`; a row without a positive adds nothing.
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
        labels: int64 `(n,)`, places in `classes`.
        logit_scale: what cosines are multiplied by.
        label_smoothing: share of the target spread over all classes, 0..1.
    """
    logits = logit_scale * images @ classes.T
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def ranking_loss(images: Tensor, classes: Tensor, labels: Tensor, logit_scale: Tensor) -> Tensor:
    """Of each class name its photos against the batch's other photos: what a text query ranks.

    Arguments as of `class_loss`; classes without a photo in the batch add nothing.
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
    """Hold off-topic texts away from every image, in absolute cosine, and matches near.

    A contrastive loss alone fixes differences only, so a text that describes nothing could still
    score high everywhere.

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
