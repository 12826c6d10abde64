"""Trains the unfrozen part of a CLIP on photos, a step at a time; resumes from a checkpoint.

All that is random follows from the seed and the step's number, so a run that goes on from a
checkpoint takes the very steps that the uninterrupted one takes.
"""

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from petsearch.domain.errors import ConfigurationError
from training.clip.class_texts import ClassTexts, TextEncoder
from training.clip.losses import background_loss, class_loss, contrastive_loss, ranking_loss
from training.clip.weights import Weights, copy_of, load_weights, trained_weights
from training.finetuning.config import LossConfig, PhotoOptimisationConfig
from training.finetuning.off_topic_texts import OffTopicTexts
from training.finetuning.policies import Policy
from training.finetuning.validation import Figures
from training.finetuning.view_features import ViewFeatures
from training.runs.checkpoints import Checkpoint
from training.runs.memory_estimate import KeptForBackward
from training.runs.precision import Precision
from training.runs.schedule import share_of_rate

_MAX_LOG_SCALE = math.log(100)


@dataclass(frozen=True)
class PhotoStep:
    """What one step came to."""

    number: int
    epoch: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Species:
    """The species of the classes, as texts."""

    texts: ClassTexts
    of_classes: Tensor
    """int64 `(classes,)`: places in `texts`."""


@dataclass(frozen=True)
class Sides:
    """All that a step needs of images and texts."""

    features: ViewFeatures
    labels: NDArray[np.int64]
    """`(n,)`: the class of each photo."""
    views: int
    """Stored views; 0 for a new one every epoch."""
    classes: ClassTexts
    encoder: TextEncoder
    off_topic: OffTopicTexts | None
    species: Species | None
    """None where fewer than two species are known, or that of some class is not."""


class PhotoTrainer:
    """One run. `steps` trains; `checkpoint` and `restore` stop it and go on."""

    def __init__(
        self,
        module: nn.Module,
        policy: Policy,
        sides: Sides,
        loss: LossConfig,
        optimisation: PhotoOptimisationConfig,
        precision: Precision,
    ) -> None:
        self.policy = policy
        self._sides = sides
        self._loss_config = loss
        self._config = optimisation
        self._precision = precision
        self.module = module
        self._optimiser = _optimiser(module, policy, optimisation)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._scaler = precision.scaler()
        self.average = copy_of(trained_weights(module))
        self.best: Weights = {}
        self.kept = KeptForBackward()
        """What the first step of this process kept for its backward pass."""
        self.step = 0
        self.step_log: list[dict[str, float]] = []
        self.epoch_log: list[dict[str, float]] = []

    @property
    def steps_per_epoch(self) -> int:
        """The last step of an epoch may be smaller."""
        per_step = self._config.batch_size * self._config.accumulate
        return -(-len(self._sides.labels) // per_step)

    @property
    def total_steps(self) -> int:
        """Without early stopping."""
        return self.steps_per_epoch * self._config.epochs

    def steps_of_epoch(self) -> Iterator[PhotoStep]:
        """Train to the end of the epoch that `step` lies in.

        Raises:
            ConfigurationError: the loss or a gradient is no number any more.
        """
        epoch, done = divmod(self.step, self.steps_per_epoch)
        order = np.random.default_rng((self._config.seed, epoch)).permutation(
            len(self._sides.labels)
        )
        per_step = self._config.batch_size * self._config.accumulate
        for number in range(done, self.steps_per_epoch):
            chosen = order[number * per_step : (number + 1) * per_step]
            yield self._train_step(chosen, epoch)

    def _train_step(self, chosen: NDArray[np.int64], epoch: int) -> PhotoStep:
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
        step = PhotoStep(self.step, epoch, loss, self._config.learning_rate * share)
        self.step += 1
        self._update_average()
        self.step_log.append(vars(step))
        return step

    def _accumulate(self, part: NDArray[np.int64], epoch: int, *, weight: float) -> float:
        """Add the gradients of a batch; its share of the step's loss."""
        view = epoch % self._sides.views if self._sides.views else epoch
        features = self._sides.features.rows(part, view)
        labels = torch.from_numpy(self._sides.labels[part]).to(self._precision.device)
        with nullcontext() if self.kept.tensors else self.kept.watched():
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
        classes = self._embeddings(self._sides.classes)
        scale = self.policy.logit_scale.exp()
        relevant = labels[:, None] == labels[None, :]
        if config.kind == "contrastive":
            loss = contrastive_loss(classes[labels] @ images.T, scale, relevant)
        else:
            loss = class_loss(images, classes, labels, scale, config.label_smoothing)
        if config.kind == "both":
            loss = (loss + ranking_loss(images, classes, labels, scale)) / 2
        if self._sides.species is not None and config.species_weight:
            loss = loss + config.species_weight * self._species_loss(images, labels)
        if self._sides.off_topic is not None and config.background_weight:
            texts = self._sides.off_topic.draw(config.background_texts, self.step)
            away = self._sides.encoder.encode(self._sides.encoder.tokens(texts))
            loss = loss + config.background_weight * background_loss(
                away @ images.T,
                classes[labels] @ images.T,
                relevant,
                on_topic_floor=config.on_topic_floor,
                off_topic_ceiling=config.off_topic_ceiling,
            )
        return loss

    def _species_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        species = self._sides.species
        assert species is not None
        of_photos = species.of_classes.to(labels.device)[labels]
        names = self._embeddings(species.texts)
        scale = self.policy.logit_scale.exp()
        return class_loss(images, names, of_photos, scale, self._loss_config.label_smoothing)

    def _embeddings(self, texts: ClassTexts) -> Tensor:
        """The ensemble of a frozen tower; of a trained one a template in turn, which is cheaper."""
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
            self.policy.logit_scale.clamp_(0, _MAX_LOG_SCALE)

    def _diverged(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"{what} is not a number at step {self.step}: training diverged. The last good "
            "checkpoint is kept. Lower the learning rates, or use fp32, and give another --out."
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        # Short runs: the first steps count less than the full decay would have them.
        decay = min(self._config.average_decay, self.step / (self.step + 10))
        if not self._config.average_decay:
            decay = 0.0
        for name, weight in trained_weights(self.module).items():
            self.average[name].lerp_(weight, 1 - decay)

    def note_epoch(self, figures: Figures) -> None:
        """Log what the average scored in validation, and keep it if it is the best."""
        epoch = {"epoch": float(len(self.epoch_log)), "step": float(self.step), **vars(figures)}
        rank = (figures.top1, -figures.loss)
        best = max(((e["top1"], -e["loss"]) for e in self.epoch_log), default=None)
        if best is None or rank > best:
            self.best = copy_of(self.average)
        self.epoch_log.append(epoch)

    @property
    def is_done(self) -> bool:
        """All epochs are over, or validation has not improved for `patience` of them."""
        scores = [(e["top1"], -e["loss"]) for e in self.epoch_log]
        stale = len(scores) - 1 - scores.index(max(scores)) if scores else 0
        return len(scores) >= self._config.epochs or stale >= self._config.patience

    def checkpoint(self) -> Checkpoint:
        """All that `restore` needs."""
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
        """Go on from there."""
        load_weights(self.module, checkpoint.weights)
        load_weights_into(self.average, checkpoint.average)
        self._optimiser.load_state_dict(checkpoint.optimiser)
        self._scaler.load_state_dict(checkpoint.scaler)
        self.best = checkpoint.best
        self.step = checkpoint.step
        self.step_log = checkpoint.steps
        self.epoch_log = checkpoint.epochs


def load_weights_into(target: Weights, source: Weights) -> None:
    """Copy values, wherever they lie."""
    for name, weight in source.items():
        target[name].copy_(weight)


def _optimiser(
    module: nn.Module, policy: Policy, config: PhotoOptimisationConfig
) -> torch.optim.Optimizer:
    """AdamW; matrices decay, but not the token embeddings, of which a step sees few."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    groups: list[dict[str, object]] = []

    def add(parameters: list[nn.Parameter], rate: float) -> None:
        for decays in (True, False):
            chosen = [
                p for p in parameters if (p.ndim > 1 and "embedding" not in names[p]) == decays
            ]
            if chosen:
                decay = config.weight_decay if decays else 0.0
                groups.append({"params": chosen, "lr": rate, "weight_decay": decay})

    for distance, stage in enumerate(reversed(policy.suffix)):
        rate = config.learning_rate * config.layer_decay ** (distance - 1)
        add(stage.parameters(), rate if distance else config.projection_learning_rate)
    add(list(policy.text), config.text_learning_rate)
    if policy.logit_scale.requires_grad:
        add([policy.logit_scale], config.projection_learning_rate)
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))
