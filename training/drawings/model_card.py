"""The model card of a model that was trained on drawings."""

from training.drawings.config import DrawingsConfig
from training.drawings.evaluate import DrawingsEvaluation

_CARD = """# petsearch sample model

A tiny CLIP that knows drawn cats and dogs, so that petsearch can be tried with no download.
It was trained from scratch by this project on its own drawings (`petsearch/sample`): no photo and
no weight from anywhere else is in it. Apache-2.0, as the project.

**It knows drawings only.** On real photos its answers mean nothing: use a real CLIP for those.

- Image tower: open_clip's ModifiedResNet, layers {layers}, width {width}, {size} px.
- Text tower: {text_layers} layers, width {text_width}, open_clip's own BPE vocabulary, at most
  {context} tokens.
- Embedding dimension {dim}, weights in fp16.
- Trained on {drawings} drawings (seed {seed}) for {steps} steps of {batch}, with a multi-positive
  contrastive loss and a loss that keeps off-topic texts away from every drawing.

| figure | value |
|---|---|
| kind top-1, zero-shot over {kinds} kinds | {top1:.3f} |
| mean P@5 of {queries} attribute queries | {p5:.3f} |
| mAP of the same queries, full ranking | {map:.3f} |
| AUC of best scores, attribute queries against off-topic texts | {auc:.3f} |

Measured on {gallery} drawings of a seed that training never saw; `metrics.json` has the protocol,
each query and the whole configuration.

    petsearch finetune --config training/configs/sample.toml --out DIR
    petsearch evaluate --model DIR --data drawings
"""


def model_card(config: DrawingsConfig, evaluation: DrawingsEvaluation, kinds: int) -> str:
    """Markdown for MODEL_CARD.md."""
    model, data, optimisation = config.model, config.data, config.optimisation
    return _CARD.format(
        layers=list(model.vision_layers),
        width=model.vision_width,
        size=model.image_size,
        text_layers=model.text_layers,
        text_width=model.text_width,
        context=model.context_length,
        dim=model.embed_dim,
        drawings=data.drawings,
        seed=data.seed,
        steps=optimisation.steps,
        batch=optimisation.batch_size,
        kinds=kinds,
        top1=evaluation.kind_top1,
        queries=len(evaluation.queries),
        p5=evaluation.mean_precision_at_5,
        map=evaluation.mean_average_precision,
        auc=evaluation.off_topic_auc,
        gallery=evaluation.gallery,
    )
