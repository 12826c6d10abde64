"""The command `petsearch publish`. What needs torch is imported when it runs."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petsearch.adapters.clip import resolve_model
from petsearch.app.connections import open_store
from petsearch.cli.output import Json, data_folder, print_json, print_message
from petsearch.domain.errors import InvalidInput
from petsearch.models import Manifest, Published, Registry
from petsearch.models.cards import write_card
from petsearch.models.folder import (
    CALIBRATION,
    CARD,
    METRICS,
    WEIGHTS,
    check_documents,
    check_embeddings,
    check_weights,
    published_files,
)
from petsearch.models.registry import check_new_id
from petsearch.reindex.promotion_checks import check_measured
from petsearch.settings import Settings

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel


@dataclass(frozen=True)
class CalibrationData:
    """Labelled photos that were not trained on."""

    dataset: str
    split: str
    label_column: str


def publish(
    folder: Annotated[Path, typer.Argument(help="A model folder, as finetune writes it.")],
    *,
    name: Annotated[str, typer.Option(help="Name of the model; by default the folder's.")] = "",
    dataset: Annotated[
        str, typer.Option(help="Labelled photos held out of training, to calibrate with.")
    ] = "",
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "validation",
    label_column: Annotated[str, typer.Option(help="Column that holds the breed.")] = "label",
    unmeasured: Annotated[
        bool,
        typer.Option(
            "--unmeasured", help="Publish a model without calibration or metrics all the same."
        ),
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            parser=data_folder,
            metavar="PATH",
            help="Data folder of `petsearch serve`; else PETSEARCH_STORE_URL.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a model folder and add it to the registry, from which servers load models."""
    data = CalibrationData(dataset, split, label_column) if dataset else None
    published = publish_folder(
        folder, name=name, data_dir=data_dir, calibrate_with=data, unmeasured=unmeasured
    )
    model_id = published.manifest.model_id
    if as_json:
        print_json({"model_id": model_id, "new": published.is_new})
        return
    done = "is published" if published.is_new else "is published already; nothing has changed"
    print_message(f"{model_id} {done}. Next: petsearch reindex --model {model_id}")


def publish_folder(
    folder: Path,
    *,
    name: str = "",
    data_dir: Path | None = None,
    calibrate_with: CalibrationData | None = None,
    unmeasured: bool = False,
) -> Published:
    """Publish a model folder to the registry that the settings name.

    Args:
        name: how the id begins; the folder's name if empty.
        data_dir: of a single-process server, running or not; None for PETSEARCH_STORE_URL.
        unmeasured: whether a model may have neither a calibration of its weights nor metrics.

    Raises:
        ConfigurationError: the folder holds no working model, or there is no store.
        InvalidInput: the name is invalid, the data set cannot be read, or nothing was measured.
    """
    registry = Registry(open_store(_settings(data_dir)))
    source = resolve_model(f"dir:{folder}")
    model_id = f"{name or source.name}-{source.model_id().rpartition('-')[2]}"
    check_new_id(model_id)
    files = published_files(folder)
    before = registry.find(model_id) if calibrate_with is None else None
    if before is not None and not _may_stay(before, files, unmeasured=unmeasured):
        before = None
    damaged = registry.damaged(before) if before is not None else []
    if before is not None and not damaged:
        return Published(before, is_new=False)
    if CALIBRATION in damaged and CALIBRATION not in files and not unmeasured:
        raise InvalidInput(
            f"The calibration of {model_id!r} is damaged in the object store, and {folder} has "
            "none: publish with --dataset, or with --unmeasured to do without."
        )
    from petsearch.adapters.clip.model import load_model

    check_documents(files)
    check_weights(folder / WEIGHTS)
    model = load_model(source)
    check_embeddings(model)
    with tempfile.TemporaryDirectory() as temporary:
        if calibrate_with is not None:
            files[CALIBRATION] = _calibrate(model, calibrate_with, Path(temporary))
        elif before is not None and CALIBRATION in before.files.keys() - files.keys() - {*damaged}:
            # Fitted when it was published, which cannot be done again here.
            files[CALIBRATION] = registry.bring(before, CALIBRATION, Path(temporary))
        elif not unmeasured:
            _require_measured(model, files)
        files[CARD] = write_card(
            Path(temporary) / CARD, model_id, model.info, files, of_training=folder / CARD
        )
        return registry.publish(model_id, files, datetime.now(UTC))


def _may_stay(before: Manifest, files: Mapping[str, Path], *, unmeasured: bool) -> bool:
    """Whether what is published is what is to be published now."""
    is_measured = bool(before.files.keys() & {CALIBRATION, METRICS})
    return before.holds(files) and (unmeasured or is_measured)


def _require_measured(model: "OpenClipModel", files: Mapping[str, Path]) -> None:
    """Before photos are embedded for days with a model that may not serve in the end."""
    check = check_measured(model.info, has_metrics=METRICS in files)
    if not check.passed:
        raise InvalidInput(
            f"Nothing was published: `petsearch promote` will refuse this model. {check.detail} "
            "To publish it all the same: --unmeasured."
        )


def _settings(data_dir: Path | None) -> Settings:
    settings = Settings.from_environment()
    if data_dir is not None:
        return settings.model_copy(update={"store_url": f"file:{data_dir.resolve() / 'objects'}"})
    settings.require("store_url")
    return settings


def _calibrate(model: "OpenClipModel", data: CalibrationData, folder: Path) -> Path:
    """Write calibration.json, fitted on one half of the photos and measured on the other."""
    from petsearch.calibration import fit
    from training.calibration import labelled_gallery
    from training.calibration.calibrate import prepare_texts, with_off_topic_measured
    from training.drawings import SAMPLE_CONFIG, read_config
    from training.evaluation import load_split
    from training.runs import write_json

    photos = load_split(data.dataset, data.split, label_column=data.label_column)
    gallery = labelled_gallery(model, photos)
    texts = prepare_texts(model, read_config(SAMPLE_CONFIG).data)
    path = folder / CALIBRATION
    fitted = fit(gallery.half(0), texts, model.info)
    measured, _ = with_off_topic_measured(fitted, model, gallery.half(1).embeddings)
    write_json(path, asdict(measured))
    return path
