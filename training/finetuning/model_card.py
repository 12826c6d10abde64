"""The model card of a fine-tune on photos."""

from training.evaluation.photos import public_name
from training.finetuning.config import FinetuningConfig
from training.finetuning.result import FinetuningResult

_CARD = """# {name}

A CLIP fine-tuned on labelled photos of pets with `petsearch finetune`.

- Base: {base}.
- Trained: {trained}.
- Photos: {train} of {data} (split {split}), {classes} classes; {validation} more were kept for
  validation. {skipped} were left out because they have no label or cannot be decoded.
- Loss: {loss}. Views: {views}.
- Seed {seed}, commit {commit}. Weights in fp16. WiSE-FT share of fine-tuned weights: {share}.

| validation | base | this model |
|---|---|---|
| top-1, zero-shot over {classes} classes | {before.top1:.3f} | {after.top1:.3f} |
| text-to-image P@5 | {before.precision_at_5:.3f} | {after.precision_at_5:.3f} |
| text-to-image mAP | {before.mean_average_precision:.3f} | {after.mean_average_precision:.3f} |

Measured on the {validation} validation photos with the templates {templates}. The epoch and the
share were selected on the same photos, so these figures are optimistic: `petsearch evaluate` on
photos that were not used is the way to compare models. `metrics.json` has the protocol and the
whole configuration.

It distinguishes breeds, not individuals: a hit never means "this is that dog". Photos unlike those
it was trained on, in particular of mixed breeds, are assigned a breed as well.

The licences of the base model and of the photos also apply to this model.
"""


def model_card(result: FinetuningResult, config: FinetuningConfig, commit: str | None) -> str:
    """Markdown for MODEL_CARD.md."""
    setup = result.setup
    groups = ", ".join(stage.name for stage in setup.trainer.policy.suffix) or "nothing"
    text = "text tower" if config.policy.train_text else "text tower frozen"
    augmentation = config.augmentation
    views = f"{augmentation.views} of each photo" if augmentation.views else "new in every epoch"
    return _CARD.format(
        name=f"{setup.base.source.name}, fine-tuned",
        base=setup.base.source.model_id(),
        trained=f"image tower: {groups}; {text}",
        train=len(setup.split.train),
        data=public_name(config.photos.data),
        split=config.photos.split,
        classes=len(setup.photos.photos.class_names),
        validation=len(setup.split.validation),
        skipped=len(setup.photos.broken) + len(setup.photos.photos.skipped),
        loss=_loss(config),
        views=views,
        seed=config.optimisation.seed,
        commit=commit or "unknown",
        share=result.interpolation.share,
        before=result.before,
        after=result.after,
        templates=", ".join(f"“{template}”" for template in config.templates),
    )


def _loss(config: FinetuningConfig) -> str:
    names = {
        "cross_entropy": "cross-entropy against the class prompts",
        "contrastive": "multi-positive contrastive",
        "both": "cross-entropy against the class prompts, and of each prompt over the photos",
    }
    name = names[config.loss.kind]
    if not config.loss.background_weight:
        return name
    return f"{name}, and a loss that pushes off-topic texts away from every photo"
