"""The model card that is published with a model: what is known about it, in Markdown."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from petsearch.domain import ModelInfo
from petsearch.domain.calibration import LEAST_FLAGGED, read_calibration
from petsearch.domain.errors import ConfigurationError
from petsearch.models.folder import CALIBRATION, METRICS

_CARD = """# {model_id}

A CLIP of the architecture in open_clip_config.json. Embedding dimension {dim}, pictures of
{width} x {height} pixels.

- Names {labels} breeds ({species}).
- Prompt templates: {templates}.
- {calibration}
- {off_topic}

{figures}

    petsearch reindex --model {model_id}
    petsearch promote {model_id}
"""


def write_card(
    path: Path, model_id: str, model: ModelInfo, files: Mapping[str, Path], *, of_training: Path
) -> Path:
    """Write MODEL_CARD.md of a model from its folder's files.

    Args:
        of_training: the card that training wrote, if it did; it follows.

    Raises:
        ConfigurationError: metrics.json is no JSON object.
    """
    species = sorted({label.species for label in model.labels})
    card = _CARD.format(
        model_id=model_id,
        dim=model.dim,
        width=model.pixel_spec.width,
        height=model.pixel_spec.height,
        labels=len(model.labels),
        species=", ".join(species) or "none",
        templates=", ".join(f"`{template}`" for template in model.prompt_templates),
        calibration="Confidences are calibrated on held-out photos (calibration.json)."
        if CALIBRATION in files
        else "Confidences are not calibrated: answers say null.",
        off_topic=_off_topic(files.get(CALIBRATION)),
        figures=_figures(files.get(METRICS)),
    )
    if of_training.is_file():
        card += f"\n---\n\n{of_training.read_text(encoding='utf-8')}"
    path.write_text(card, encoding="utf-8")
    return path


def _off_topic(path: Path | None) -> str:
    line = read_calibration(path.read_bytes()).off_topic if path else None
    if line is None or line.measured is None:
        return "Off-topic texts were not measured: `no_good_match` is null."
    held = line.measured
    return (
        f"Off-topic texts: {held.flagged:.0%} of {held.about_else} are flagged where 5 % of "
        f"{held.about_pets} texts about pets are (at least {held.flagged_from:.0%}, 95 %); area "
        f"under the ROC curve {held.area:.3f}. `no_good_match` is "
        + ("given." if line.can_tell else f"null: at least {LEAST_FLAGGED:.0%} is needed.")
    )


def _figures(path: Path | None) -> str:
    if path is None:
        return "No figures were published with it."
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        protocol = str(metrics.get("protocol", ""))
        rows = [f"| {key} | {value:.4g} |" for key, value in figures_of(metrics).items()]
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{path} is no JSON object of figures: {error}") from error
    return "\n".join(["| figure | value |", "|---|---|", *rows, "", protocol]).rstrip()


def figures_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The figures in a metrics.json, by name.

    Raises:
        AttributeError: it is no JSON object.
    """
    return {
        name: float(value)
        for name, value in metrics.get("figures", metrics).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
