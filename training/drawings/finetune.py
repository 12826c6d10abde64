"""Trains a CLIP on drawings: `petsearch finetune` with training/configs/sample.toml."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from open_clip import SimpleTokenizer
from open_clip.model import CLIP
from torch import Tensor, nn

from petsearch.adapters.clip.model import load_model
from petsearch.domain import Label
from petsearch.sample.captions import LABEL_TEMPLATES, PROMPT_TEMPLATES
from petsearch.sample.kinds import KINDS
from training.clip.losses import background_loss, contrastive_loss
from training.drawings.config import OptimisationConfig, TrainingConfig
from training.drawings.data import Batch, Sampler, background_words, render
from training.drawings.evaluate import Evaluation, evaluate
from training.drawings.model_card import model_card
from training.drawings.model_folder import Prompts, build_model, write_json, write_model
from training.runs.schedule import share_of_rate

_MAX_LOG_SCALE = math.log(100)


@dataclass(frozen=True)
class Step:
    """What one step of training came to."""

    number: int
    loss: float
    learning_rate: float


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from."""

    commit: str | None
    """None outside a git checkout or before its first commit."""
    seed: int
    training_s: float
    first_loss: float
    last_loss: float


def learning_rate_at(step: int, config: OptimisationConfig) -> float:
    """Linear warm-up, then a cosine to zero at the last step; `step` counts from 0."""
    return config.learning_rate * share_of_rate(step, config.steps, config.warmup_steps)


def train(config: TrainingConfig, model: CLIP, sampler: Sampler) -> Iterator[Step]:
    """Train `model` in place, a step at a time."""
    optimisation = config.optimisation
    module = cast(nn.Module, model)
    module.train()
    tokenizer = SimpleTokenizer(context_length=config.model.context_length)
    optimiser = _optimiser(module, optimisation)
    for number in range(optimisation.steps):
        rate = learning_rate_at(number, optimisation)
        for group in optimiser.param_groups:
            group["lr"] = rate
        batch = sampler.batch(optimisation.batch_size, optimisation.background_texts)
        loss = _loss(model, tokenizer, batch, optimisation)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, _MAX_LOG_SCALE)
        yield Step(number, loss.item(), rate)


def _optimiser(module: nn.Module, config: OptimisationConfig) -> torch.optim.Optimizer:
    """AdamW; only matrices decay, and not the token embeddings, of which a step sees few."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in module.named_parameters():
        matrix = parameter.ndim > 1 and "embedding" not in name
        (decayed if matrix else free).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))


def _loss(
    model: CLIP, tokenizer: SimpleTokenizer, batch: Batch, config: OptimisationConfig
) -> Tensor:
    images = batch.images.contiguous(memory_format=torch.channels_last)
    low = config.precision == "bf16"
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
        features = model.encode_image(images)
    image_features = F.normalize(features.float(), dim=-1)
    tokens = tokenizer([*batch.texts, *batch.off_topic])
    text_features = F.normalize(model.encode_text(tokens), dim=-1)
    similarity = text_features @ image_features.T
    on_topic, off_topic = similarity[: len(batch.texts)], similarity[len(batch.texts) :]
    contrast = contrastive_loss(on_topic, model.logit_scale.exp(), batch.relevant)
    return contrast + config.background_weight * background_loss(
        off_topic, on_topic, batch.relevant
    )


def finetune(
    config: TrainingConfig,
    out: Path,
    clock: Callable[[], float],
    commit: str | None,
    on_step: Callable[[Step], None],
) -> Evaluation:
    """Draw, train, write the model folder `out` and evaluate what was written.

    Args:
        config: the run.
        out: a folder, made if needed.
        clock: seconds, monotonic.
        commit: the code's commit, for the record.
        on_step: told after each step.
    """
    seed = config.optimisation.seed
    started = clock()
    torch.manual_seed(seed)
    model = build_model(config.model)
    cast(nn.Module, model).to(memory_format=torch.channels_last)
    losses = []
    for step in train(config, model, _sampler(config)):
        losses.append(step.loss)
        on_step(step)
    provenance = Provenance(commit, seed, round(clock() - started, 1), losses[0], losses[-1])
    write_model(out, model, config.model, _prompts())
    result = evaluate(load_model(f"dir:{out}"), config.evaluation, config.data.off_topic_held_out)
    write_json(out / "metrics.json", _record(config, provenance, result))
    (out / "MODEL_CARD.md").write_text(model_card(config, result, len(KINDS)), encoding="utf-8")
    return result


def _sampler(config: TrainingConfig) -> Sampler:
    tokens = SimpleTokenizer().encoder
    words = background_words(tokens, config.data.off_topic_held_out)
    drawings = render(config.data, config.model.image_size)
    rng = random.Random(config.optimisation.seed)
    return Sampler(drawings, config.data.off_topic, words, config.model.image_size, rng)


def _prompts() -> Prompts:
    labels = [Label(kind.name, kind.species) for kind in KINDS.values()]
    return Prompts(PROMPT_TEMPLATES, LABEL_TEMPLATES, labels)


def _record(config: TrainingConfig, made: Provenance, result: Evaluation) -> dict[str, Any]:
    protocol = (
        f"{config.evaluation.gallery} held-out drawings of seed {config.evaluation.seed}, "
        f"topped up with drawings of the same seed until each attribute query has "
        f"{config.evaluation.min_relevant} relevant ones ({result.gallery} in all); kind top-1 on "
        "the drawings before the top-up; a drawing is relevant if all attributes of the query "
        "hold; off-topic texts hold no word trained as background; prompt ensembles of labels.json"
    )
    return {
        "protocol": protocol,
        "figures": asdict(result),
        "provenance": asdict(made),
        "config": asdict(config),
    }
