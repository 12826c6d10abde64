"""Off-topic detection by a model's calibration: AUC, and the share of flagged texts.

`python -m bench.off_topic --model DIR` (with calibration.json) uses drawings for the sample model
and the Oxford photos for others; the off-topic texts are those in training/configs/sample.toml that
nothing was trained or fitted on. The result of the best score alone is printed for comparison.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.real_photos import load_photos
from bench.shared_data import DATASET, MODEL, check_is_there
from petsearch.domain import Embeddings
from petsearch.domain.calibration import Calibration
from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process
from petsearch.sample.queries import ATTRIBUTE_QUERIES
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import auc

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel
    from training.drawings.config import DataConfig

_DRAWINGS = 600


def main(
    *,
    model: Annotated[str, typer.Option(help="sample, or dir:<model folder>.")] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """Print the table of AUCs and shares."""
    check_is_there(model, "" if model == "sample" else dataset)
    tune_process()
    configure_logging(level="ERROR")
    # Imported here: OpenMP must be told how to wait before torch is there.
    from petsearch.adapters.clip.model import load_model

    clip = load_model(model)
    calibration, gallery = _calibrated(clip, dataset, cache)
    off_topic = list(_data().off_topic_held_out)
    templates = clip.info.prompt_templates
    asked = {"breed names": [label.breed for label in clip.info.labels]}
    asked["breed phrases"] = [f"a lost {breed} near the station" for breed in asked["breed names"]]
    if clip.info.is_sample:
        asked["attribute queries"] = [query.words for query in ATTRIBUTE_QUERIES]
    away = embed_texts(clip, off_topic, templates)
    title = f"{len(off_topic)} off-topic texts, {len(gallery)} photos, {clip.info.model_id}"
    table = Table("queries", "n", "AUC", "flagged at 5 %", "flags now", "wrongly", "score: AUC",
                  "score: flagged", title=title)  # fmt: skip
    for name, texts in asked.items():
        table.add_row(
            name,
            str(len(texts)),
            *_figures(calibration, embed_texts(clip, texts, templates), away, gallery),
        )
    Console().print(table)


def _data() -> "DataConfig":
    from training.drawings.config import SAMPLE_CONFIG, read_config

    return read_config(SAMPLE_CONFIG).data


def _calibrated(
    clip: "OpenClipModel", dataset: str, cache: Path | None
) -> tuple[Calibration, Embeddings]:
    """The model's calibration, or one fitted here, and photos it was not fitted on."""
    from training.calibration.calibrate import fit, prepare_texts
    from training.calibration.gallery import SEED, Gallery, labelled_gallery
    from training.drawings.drawn_photos import drawn_photos

    if clip.info.is_sample:
        photos = labelled_gallery(clip, drawn_photos(range(2 * _DRAWINGS), SEED))
    else:
        real = load_photos(clip, dataset=dataset, cache=cache)
        photos = Gallery(real.embeddings, real.breeds, real.species)
    fitted = clip.info.calibration or fit(photos.half(0), prepare_texts(clip, _data()), clip.info)
    return fitted, photos.half(1).embeddings


def _figures(
    calibration: Calibration, asked: Embeddings, away: Embeddings, gallery: Embeddings
) -> list[str]:
    from training.calibration.calibrate import best_scores

    line = calibration.off_topic
    best, best_away = (best_scores(rows, gallery, calibration.spread) for rows in (asked, away))
    on, off = best.on_topic(line), best_away.on_topic(line)
    return [
        f"{auc(on, off):.3f}",
        f"{_flagged_at_5_percent(on, off):.2f}",
        f"{(best_away.on_topic(line) < line.below).mean():.2f}",
        f"{(best.on_topic(line) < line.below).mean():.2f}",
        f"{auc(best.score, best_away.score):.3f}",
        f"{_flagged_at_5_percent(best.score, best_away.score):.2f}",
    ]


def _flagged_at_5_percent(on: NDArray[np.floating], off: NDArray[np.floating]) -> float:
    """Share of off-topic texts below the threshold that flags 5 % of the others."""
    return float((off < np.quantile(on, 0.05)).mean())


if __name__ == "__main__":
    typer.run(main)
