"""The model card of a fine-tune on photos."""

from training.finetuning.config import FinetuningConfig
from training.finetuning.result import FinetuningResult

_CARD = """# {name}

A CLIP fine-tuned on labelled photos of pets with `petsearch finetune`.

- Base: {base}.
- Trained: {trained}.
- Photos: {train} of {data} (split {split}), {classes} classes; {validation} more were kept out for
  validation. {skipped} were left out because they had no label or did not decode.
- Loss: {loss}. Views: {views}.
- Seed {seed}, commit {commit}. Weights in fp16. WiSE-FT share of fine-tuned weights: {share}.

| validation | base | this model |
|---|---|---|
| top-1, zero-shot over {classes} classes | {before.top1:.3f} | {after.top1:.3f} |
| text-to-image P@5 | {before.precision_at_5:.3f} | {after.precision_at_5:.3f} |
| text-to-image mAP | {before.mean_average_precision:.3f} | {after.mean_average_precision:.3f} |

Measured on the {validation} validation photos with the templates {templates}. The epoch and the
share were chosen on the same photos, so these figures flatter a little: `petsearch evaluate` on
photos that nothing saw is what to compare models with. `metrics.json` has the protocol and the
whole configuration.

It tells breeds apart, not animals: never read a hit as "this is that dog". Photos unlike those it
was trained on, mixed breeds above all, get the name of a breed all the same.

The base model's licence and that of the photos bind this model too.
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
        data=config.photos.data.rstrip("/").rpartition("/")[2],
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
    return f"{name}, and one that holds off-topic texts away from every photo"
