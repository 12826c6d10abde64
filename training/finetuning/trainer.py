"""Trains the unfrozen part of a CLIP on photos, one step at a time; resumes from a checkpoint.

All randomness is derived from the seed and the step number, so a resumed run takes exactly the
steps that an uninterrupted run takes.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from petsearch.domain.errors import ConfigurationError
from training.clip.class_texts import ClassTexts, TextEncoder
from training.clip.losses import (
    MAX_LOG_SCALE,
    background_loss,
    class_loss,
    contrastive_loss,
    ranking_loss,
)
from training.clip.optimiser import adamw
from training.clip.weights import Weights, copy_of, load_weights, trained_weights
from training.finetuning.config import LossConfig, OptimisationConfig
from training.finetuning.off_topic_texts import OffTopicTexts
from training.finetuning.policies import Policy
from training.finetuning.validation import ValidationFigures
from training.finetuning.view_features import ViewFeatures
from training.runs.checkpoints import Checkpoint
from training.runs.memory_estimate import SavedActivations
from training.runs.precision import Precision
from training.runs.schedule import share_of_rate


@dataclass(frozen=True)
class Step:
    """The outcome of one training step."""

    number: int
    epoch: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Species:
    """The species of the classes, as texts."""

    texts: ClassTexts
    of_classes: Tensor
    """int64 `(classes,)`: indices into `texts`."""


@dataclass(frozen=True)
class TrainingData:
    """The images and texts that steps draw from."""

    features: ViewFeatures
    labels: NDArray[np.int64]
    """`(n,)`: the class of each photo."""
    views: int
    """Number of stored views per photo; 0 for a new view in every epoch."""
    classes: ClassTexts
    encoder: TextEncoder
    off_topic: OffTopicTexts | None
    species: Species | None
    """None if the species of a class is unknown, or all classes have the same."""


class Trainer:
    """The state of a run: `steps_of_epoch` trains, `checkpoint` and `restore` save and load it."""

    def __init__(
        self,
        module: nn.Module,
        policy: Policy,
        data: TrainingData,
        loss: LossConfig,
        optimisation: OptimisationConfig,
        precision: Precision,
    ) -> None:
        self.policy = policy
        self._data = data
        self._loss_config = loss
        self._config = optimisation
        self._precision = precision
        self.module = module
        self._optimiser = adamw(module, _rates(policy, optimisation), optimisation.weight_decay)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._scaler = precision.scaler()
        self.average = copy_of(trained_weights(module))
        self.best: Weights = {}
        self.saved = SavedActivations()
        """Activations that the first step of this process saved for its backward pass."""
        self.step = 0
        self.step_log: list[dict[str, float]] = []
        self.epoch_log: list[dict[str, float]] = []

    @property
    def steps_per_epoch(self) -> int:
        """The last step of an epoch may have fewer photos."""
        per_step = self._config.batch_size * self._config.accumulate
        return -(-len(self._data.labels) // per_step)

    @property
    def total_steps(self) -> int:
        """Of a run without early stopping."""
        return self.steps_per_epoch * self._config.epochs

    def steps_of_epoch(self) -> Iterator[Step]:
        """Train to the end of the current epoch.

        Raises:
            ConfigurationError: the loss or a gradient is not finite.
        """
        epoch, done = divmod(self.step, self.steps_per_epoch)
        order = np.random.default_rng((self._config.seed, epoch)).permutation(
            len(self._data.labels)
        )
        per_step = self._config.batch_size * self._config.accumulate
        for number in range(done, self.steps_per_epoch):
            chosen = order[number * per_step : (number + 1) * per_step]
            yield self._train_step(chosen, epoch)

    def _train_step(self, chosen: NDArray[np.int64], epoch: int) -> Step:
        # Dropout and the like draw from torch's own generator.
        torch.manual_seed(self._config.seed * 1_000_003 + self.step)
        share = share_of_rate(
            self.step, self.total_steps, round(self._config.warmup_share * self.total_steps)
        )
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * share
        self._optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for start in range(0, len(chosen), self._config.batch_size):
            part = chosen[start : start + self._config.batch_size]
            loss += self._accumulate(part, epoch, weight=len(part) / len(chosen))
        self._apply_gradients()
        step = Step(self.step, epoch, loss, self._config.learning_rate * share)
        self.step += 1
        self._update_average()
        self.step_log.append(vars(step))
        return step

    def _accumulate(self, part: NDArray[np.int64], epoch: int, *, weight: float) -> float:
        """Accumulate the gradients of a batch; returns its share of the step's loss."""
        view = epoch % self._data.views if self._data.views else epoch
        features = self._data.features.rows(part, view).to(self._precision.device)
        labels = torch.from_numpy(self._data.labels[part]).to(self._precision.device)
        with nullcontext() if self.saved.tensors else self.saved.watched():
            with self._precision.autocast():
                images = self.policy.run_suffix(features)
            loss = self._loss(F.normalize(images.float(), dim=-1), labels) * weight
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged("The loss")
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return value

    def _loss(self, images: Tensor, labels: Tensor) -> Tensor:
        config = self._loss_config
        classes = self._embeddings(self._data.classes)
        scale = self.policy.logit_scale.exp()
        relevant = labels[:, None] == labels[None, :]
        if config.kind == "contrastive":
            loss = contrastive_loss(classes[labels] @ images.T, scale, relevant)
        else:
            loss = class_loss(images, classes, labels, scale, config.label_smoothing)
        if config.kind == "both":
            loss = (loss + ranking_loss(images, classes, labels, scale)) / 2
        if self._data.species is not None and config.species_weight:
            loss = loss + config.species_weight * self._species_loss(images, labels)
        if self._data.off_topic is not None:
            texts = self._data.off_topic.draw(config.background_texts, self.step)
            away = self._data.encoder.encode(self._data.encoder.tokens(texts))
            loss = loss + config.background_weight * background_loss(
                away @ images.T,
                classes[labels] @ images.T,
                relevant,
                on_topic_floor=config.on_topic_floor,
                off_topic_ceiling=config.off_topic_ceiling,
            )
        return loss

    def _species_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        species = self._data.species
        assert species is not None
        of_photos = species.of_classes.to(labels.device)[labels]
        names = self._embeddings(species.texts)
        scale = self.policy.logit_scale.exp()
        return class_loss(images, names, of_photos, scale, self._loss_config.label_smoothing)

    def _embeddings(self, texts: ClassTexts) -> Tensor:
        """The ensemble of a frozen tower; of a trained one, for speed, one template per step."""
        if not self.policy.text:
            return texts.frozen_ensemble()
        return texts.in_template(self.step % len(texts))

    def _apply_gradients(self) -> None:
        self._scaler.unscale_(self._optimiser)
        parameters = [p for group in self._optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self._config.clip_norm)
        if not self._scaler.is_enabled() and not math.isfinite(float(norm)):
            raise self._diverged("A gradient")
        self._scaler.step(self._optimiser)
        self._scaler.update()
        with torch.no_grad():
            self.policy.logit_scale.clamp_(0, MAX_LOG_SCALE)

    def _diverged(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"{what} is not a number at step {self.step}: training diverged. The last good "
            "checkpoint is kept. Lower the learning rates or use fp32, and choose another --out."
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        # A smaller decay at first, so that the initial weights fade in short runs too.
        decay = min(self._config.average_decay, self.step / (self.step + 10))
        for name, weight in trained_weights(self.module).items():
            self.average[name].lerp_(weight, 1 - decay)

    def note_epoch(self, figures: ValidationFigures) -> None:
        """Log the validation of the averaged weights, and keep them if they are the best so far."""
        epoch = {"epoch": float(len(self.epoch_log)), "step": float(self.step), **vars(figures)}
        self.epoch_log.append(epoch)
        if self._epochs_since_best == 0:
            self.best = copy_of(self.average)

    @property
    def is_done(self) -> bool:
        """All epochs are over, or validation has not improved for `patience` epochs."""
        is_stale = bool(self.epoch_log) and self._epochs_since_best >= self._config.patience
        return is_stale or len(self.epoch_log) >= self._config.epochs

    @property
    def _epochs_since_best(self) -> int:
        ranks = [(epoch["top1"], -epoch["loss"]) for epoch in self.epoch_log]
        return len(ranks) - 1 - ranks.index(max(ranks))

    def checkpoint(self) -> Checkpoint:
        """The state that `restore` loads."""
        return Checkpoint(
            step=self.step,
            weights=trained_weights(self.module),
            average=self.average,
            optimiser=self._optimiser.state_dict(),
            scaler=self._scaler.state_dict(),
            best=self.best,
            steps=self.step_log,
            epochs=self.epoch_log,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint."""
        load_weights(trained_weights(self.module), checkpoint.weights)
        load_weights(self.average, checkpoint.average)
        self._optimiser.load_state_dict(checkpoint.optimiser)
        self._scaler.load_state_dict(checkpoint.scaler)
        self.best = checkpoint.best
        self.step = checkpoint.step
        self.step_log = checkpoint.steps
        self.epoch_log = checkpoint.epochs


def _rates(
    policy: Policy, config: OptimisationConfig
) -> Iterator[tuple[Sequence[nn.Parameter], float]]:
    """Trained parameters with their learning rates: stages from the projection down, then texts."""
    for distance, stage in enumerate(reversed(policy.suffix)):
        rate = config.learning_rate * config.layer_decay ** (distance - 1)
        yield stage.parameters(), rate if distance else config.projection_learning_rate
    yield policy.text, config.text_learning_rate
    if policy.logit_scale.requires_grad:
        yield [policy.logit_scale], config.projection_learning_rate
