"""Trains a CLIP on drawings from scratch: `petsearch finetune` with configs/sample.toml."""

import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from open_clip import SimpleTokenizer
from open_clip.model import CLIP
from torch import Tensor, nn

from petsearch.adapters.clip.model import load_model
from petsearch.domain import Label
from petsearch.models.folder import LabelsFile
from petsearch.sample.captions import LABEL_TEMPLATES, PROMPT_TEMPLATES
from petsearch.sample.kinds import KINDS
from training.clip.losses import MAX_LOG_SCALE, background_loss, contrastive_loss
from training.clip.optimiser import adamw
from training.drawings.architecture import open_clip_config
from training.drawings.config import DrawingsConfig, OptimisationConfig
from training.drawings.data import Batch, Sampler, background_words, render
from training.drawings.evaluate import DrawingsEvaluation, evaluate
from training.drawings.model_card import model_card
from training.runs.model_folder import write_record, write_weights
from training.runs.precision import Precision
from training.runs.schedule import share_of_rate

_LABELS = LabelsFile(
    labels=tuple(Label(kind.name, kind.species) for kind in KINDS.values()),
    prompt_templates=PROMPT_TEMPLATES,
    label_templates=LABEL_TEMPLATES,
)


def train(config: DrawingsConfig, model: CLIP, sampler: Sampler) -> Iterator[float]:
    """Train `model` in place; yields the loss of each step."""
    optimisation = config.optimisation
    module = cast(nn.Module, model)
    module.train()
    tokenizer = SimpleTokenizer(context_length=config.model.context_length)
    everything = [(list(module.parameters()), optimisation.learning_rate)]
    optimiser = adamw(module, everything, optimisation.weight_decay)
    for number in range(optimisation.steps):
        share = share_of_rate(number, optimisation.steps, optimisation.warmup_steps)
        for group in optimiser.param_groups:
            group["lr"] = optimisation.learning_rate * share
        batch = sampler.batch(optimisation.batch_size, optimisation.background_texts)
        loss = _loss(model, tokenizer, batch, optimisation)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, MAX_LOG_SCALE)
        yield loss.item()


def _loss(
    model: CLIP, tokenizer: SimpleTokenizer, batch: Batch, config: OptimisationConfig
) -> Tensor:
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with Precision(torch.device("cpu"), config.precision).autocast():
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


def train_from_scratch(
    config: DrawingsConfig,
    out: Path,
    clock: Callable[[], float],
    commit: str | None,
    on_step: Callable[[int, float], None],
) -> DrawingsEvaluation:
    """Draw, train, write the model folder `out`, and evaluate the written model.

    Args:
        config: the run.
        out: a folder; created if it does not exist.
        clock: seconds, monotonic.
        commit: the code's commit, for the record.
        on_step: called after each step with its number, from 0, and its loss.
    """
    seed = config.optimisation.seed
    started = clock()
    torch.manual_seed(seed)
    model = CLIP(**open_clip_config(config.model)["model_cfg"])
    module = cast(nn.Module, model).to(memory_format=torch.channels_last)
    losses = []
    for number, loss in enumerate(train(config, model, _sampler(config))):
        losses.append(loss)
        on_step(number, loss)
    provenance = {
        "commit": commit,
        "seed": seed,
        "training_s": round(clock() - started, 1),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }
    write_weights(out, module, open_clip_config(config.model), _LABELS)
    result = evaluate(load_model(f"dir:{out}"), config.evaluation, config.data.off_topic_held_out)
    write_record(out, _record(config, provenance, result), model_card(config, result, len(KINDS)))
    return result


def _sampler(config: DrawingsConfig) -> Sampler:
    words = background_words(SimpleTokenizer().encoder, config.data.off_topic_held_out)
    drawings = render(config.data, config.model.image_size)
    rng = random.Random(config.optimisation.seed)
    return Sampler(drawings, config.data.off_topic, words, config.model.image_size, rng)


def _record(
    config: DrawingsConfig, provenance: dict[str, Any], result: DrawingsEvaluation
) -> dict[str, Any]:
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
        "provenance": provenance,
        "config": asdict(config),
    }
