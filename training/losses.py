"""Losses for images and texts of which several match each other."""

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


def background_loss(off_topic: Tensor, on_topic: Tensor, relevant: Tensor) -> Tensor:
    """Hold off-topic texts away from every image, in absolute cosine, and matches near.

    A contrastive loss alone fixes differences only, so a text that describes nothing could still
    score high everywhere.

    Args:
        off_topic: cosine `(off-topic texts, images)`.
        on_topic: cosine `(texts, images)`.
        relevant: bool, shaped as `on_topic`.
    """
    low = F.softplus(_SHARPNESS * (off_topic - _OFF_TOPIC_CEILING)).mean()
    high = F.softplus(_SHARPNESS * (_ON_TOPIC_FLOOR - on_topic[relevant])).mean()
    return (low + high) / _SHARPNESS
