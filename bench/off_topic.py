"""Off-topic detection, measured with texts that nothing was fitted on (ADR 51).

`python -m bench.off_topic` measures the bundled model on drawings; `--model dir:DIR --dataset D`
measures another on one half of the test split, calibrated on the other half. A row of texts about
pets compares them with all the others, and the other way round; "all" is what decides whether a
model says `no_good_match` at all.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.real_photos import load_photos
from bench.shared_data import DATASET, load_clip
from petsearch.domain.calibration import Calibration

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel
    from petsearch.calibration import Gallery
    from petsearch.calibration.off_topic import OffTopicRow

_DRAWINGS = 800
"""The first of those that the bundled calibration was fitted on every second of."""
_SIDES = {None: "", True: "about pets", False: "about else"}


def main(
    *,
    model: Annotated[str, typer.Option(help="sample, or dir:<model folder>.")] = "sample",
    dataset: Annotated[str, typer.Option(help="Labelled photos; not for the sample.")] = DATASET,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """Print the table of areas and shares."""
    clip = load_clip(model, "" if model == "sample" else dataset)
    from training.calibration.calibrate import with_off_topic_measured

    photos = _photos(clip, dataset, cache)
    fitted = clip.info.calibration or _fitted(clip, photos)
    calibration, rows = with_off_topic_measured(fitted, clip, photos.half(1).embeddings)
    title = f"{clip.info.model_id}, {len(photos.half(1).embeddings)} photos"
    console = Console(width=110)
    console.print(_table(rows, title))
    answer = "says" if calibration.off_topic.can_tell else "says null for"
    console.print(f"This model {answer} no_good_match.")


def _photos(clip: "OpenClipModel", dataset: str, cache: Path | None) -> "Gallery":
    from petsearch.calibration import Gallery
    from training.calibration.gallery import SEED, labelled_gallery
    from training.drawings.drawn_photos import drawn_photos

    if clip.info.is_sample:
        return labelled_gallery(clip, drawn_photos(range(_DRAWINGS), SEED))
    real = load_photos(clip, dataset=dataset, cache=cache)
    return Gallery(real.embeddings, real.breeds, real.species)


def _fitted(clip: "OpenClipModel", photos: "Gallery") -> Calibration:
    from petsearch.calibration import fit
    from training.calibration.calibrate import prepare_texts
    from training.drawings.config import SAMPLE_CONFIG, read_config

    texts = prepare_texts(clip, read_config(SAMPLE_CONFIG).data)
    return fit(photos.half(0), texts, clip.info)


def _table(rows: Sequence["OffTopicRow"], title: str) -> Table:
    table = Table("texts", "", "n", "area under ROC", "flagged at 5 %", "from (95 %)",
                  "flagged as served", title=title)  # fmt: skip
    for row in rows:
        figures = row.figures
        counts = {
            None: f"{figures.about_pets} + {figures.about_else}",
            True: str(figures.about_pets),
            False: str(figures.about_else),
        }
        table.add_row(
            row.kind.replace("_", " "),
            _SIDES[row.is_about_pets],
            counts[row.is_about_pets],
            f"{figures.area:.3f}",
            f"{figures.flagged:.1%}",
            f"{figures.flagged_from:.1%}",
            f"{row.flagged_as_served:.1%}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
