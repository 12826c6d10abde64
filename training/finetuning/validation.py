"""Validates a model during training on photos that are not trained on."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.clip.class_texts import ClassTexts
from training.clip.losses import class_loss
from training.evaluation.metrics import mean_average_precision, precision_at_k, zero_shot_top1
from training.finetuning.policies import Policy
from training.runs.precision import Precision

_BATCH_SIZE = 64


@dataclass(frozen=True)
class ValidationFigures:
    """The figures of one validation."""

    loss: float
    """Cross-entropy against the class prompts, without label smoothing."""
    top1: float
    precision_at_5: float
    """Text to image, over the classes that occur in the photos."""
    mean_average_precision: float


@dataclass(frozen=True)
class Validation:
    """Validation photos, not augmented, as features of the frozen stages."""

    _policy: Policy
    _features: Tensor
    """`(n, *shape)`; may stay on the CPU, as may labels."""
    _labels: Tensor
    """int64 `(n,)`."""
    _classes: ClassTexts
    _precision: Precision

    @torch.no_grad()
    def figures(self) -> ValidationFigures:
        """Measure the model with its current weights."""
        modes = [(m, m.training) for stage in self._policy.suffix for m in stage.modules()]
        for module, _ in modes:
            module.training = False
        try:
            images = torch.cat(
                [self._embed(rows) for rows in torch.split(self._features, _BATCH_SIZE)]
            )
        finally:
            for module, mode in modes:
                module.training = mode
        classes = self._classes.ensemble()
        labels = self._labels.to(images.device)
        loss = class_loss(images, classes, labels, self._policy.logit_scale.exp(), 0.0)
        return _figures(float(loss), (images @ classes.T).cpu().numpy(), self._labels.numpy())

    def _embed(self, rows: Tensor) -> Tensor:
        with self._precision.autocast():
            images = self._policy.run_suffix(rows.to(self._precision.device))
        return F.normalize(images.float(), dim=-1)


def _figures(loss: float, scores: np.ndarray, labels: np.ndarray) -> ValidationFigures:
    shown = np.unique(labels)
    by_text = scores.T[shown]
    relevant = shown[:, None] == labels[None, :]
    return ValidationFigures(
        loss=loss,
        top1=zero_shot_top1(scores, labels),
        precision_at_5=precision_at_k(by_text, relevant, min(5, len(labels))),
        mean_average_precision=mean_average_precision(by_text, relevant),
    )
