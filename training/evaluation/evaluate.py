"""Evaluates a model on labelled photos; `petsearch evaluate` is its command.

docs/evaluation.md describes the protocol. Weights run in fp32, so that figures do not depend on
which precision is faster on this machine; only throughput is measured as the model is served.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from petsearch.adapters.clip import resolve_model
from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.calibration.resampling import Resampling
from petsearch.domain.errors import InvalidInput
from training.drawings.config import SAMPLE_CONFIG, read_config
from training.evaluation.breed_tables import breed_rows, examples_of, recalls, worst_confusions
from training.evaluation.embedding import embed_photos
from training.evaluation.figures import (
    DataFacts,
    Evaluation,
    Forgetting,
    ModelFacts,
    figure_of,
)
from training.evaluation.forgetting import OtherPhotos, forgetting_by_species, forgetting_on
from training.evaluation.measurement import EvaluatedModel, measure, prompt_sets
from training.evaluation.metrics import confusion_matrix
from training.evaluation.photos import LabelledPhotos, class_counts, load_split, public_name
from training.evaluation.reliability import reliability
from training.evaluation.throughput import throughput


@dataclass(frozen=True)
class EvaluationOptions:
    """What to evaluate, and how."""

    model: str
    """`dir:<folder>`, `hub:<arch>/<tag>` or `sample`."""
    data: str
    split: str = "test"
    image_column: str | None = None
    label_column: str = "label"
    baseline: str | None = None
    template: str | None = None
    """The single prompt; by default the model's first label template."""
    forgetting: str | None = None
    """A data set with other labels, `NAME` or `NAME#SPLIT`; the split defaults to `test`."""
    forgetting_label_column: str = "label"
    resampling: Resampling = field(default_factory=Resampling)


@dataclass(frozen=True)
class Result:
    """An evaluation, and thumbnails (JPEG) of photos behind each of its confusions."""

    evaluation: Evaluation
    examples: tuple[tuple[bytes, ...], ...]


@dataclass(frozen=True)
class Progress:
    """Callbacks that report the progress of an evaluation."""

    photos: Callable[[int], None]
    """The given number of photos was embedded."""
    step: Callable[[str], None]
    """A step begins."""


def evaluate(options: EvaluationOptions, photos: LabelledPhotos, progress: Progress) -> Result:
    """Measure a model on `photos`, which are those of `open_photos(options)`.

    Raises:
        ConfigurationError: a model does not load, or the hub is not reachable.
        InvalidInput: the model has labels for fewer than two of the classes, no photo can be
            decoded, or the data set for forgetting cannot be used.
    """
    progress.step("loading")
    model = load_model(options.model, precision="fp32")
    baseline = load_model(options.baseline, precision="fp32") if options.baseline else None
    named, not_named = nameable(options.model, model, photos)
    other = _other_photos(options, photos, tuple(not_named))
    progress.step("embedding")
    subject = _subject(model, named, progress)
    against = _subject(baseline, named, progress) if baseline else None
    progress.step("measuring")
    return _evaluation(options, (subject, against), not_named, other, photos)


def open_photos(options: EvaluationOptions) -> LabelledPhotos:
    """Open the data set of an evaluation; errors as `load_split`."""
    return load_split(
        options.data,
        options.split,
        image_column=options.image_column,
        label_column=options.label_column,
    )


def nameable(
    spec: str, model: OpenClipModel, photos: LabelledPhotos
) -> tuple[LabelledPhotos, dict[str, int]]:
    """Photos of classes that the model has labels for, and the number of photos in the others.

    A model without labels.json is queried by text alone, so it can classify any class.

    Raises:
        InvalidInput: fewer than two classes are left.
    """
    if resolve_model(spec).labels_file is None:
        return photos, {}
    known = {label.breed for label in model.info.labels}
    names = [name for name in photos.class_names if name in known]
    not_named = {name: count for name, count in class_counts(photos).items() if name not in known}
    if len(names) < 2:
        raise InvalidInput(
            f"The model {model.info.model_id} can name {len(names)} of the "
            f"{len(photos.class_names)} classes of {photos.source.data}, and two are needed. "
            f"It has no label for: {_some(list(not_named))}. Its labels: {_some(sorted(known))}."
        )
    return (photos.only(names), not_named) if not_named else (photos, {})


def _subject(model: OpenClipModel, photos: LabelledPhotos, progress: Progress) -> EvaluatedModel:
    embedded = embed_photos(model, photos, progress.photos)
    left = [name for name, count in class_counts(embedded.photos).items() if count]
    if len(left) < 2:
        raise InvalidInput(f"Only photos of one class can be decoded: {left[0]!r}.")
    return EvaluatedModel(model, replace(embedded, photos=embedded.photos.only(left)))


def _evaluation(
    options: EvaluationOptions,
    subjects: tuple[EvaluatedModel, EvaluatedModel | None],
    not_named: dict[str, int],
    other: OtherPhotos | None,
    photos: LabelledPhotos,
) -> Result:
    subject, against = subjects
    data = public_name(options.data)
    prompts = prompt_sets(
        (options.template,) if options.template else subject.model.info.label_templates
    )
    scores = subject.class_scores(prompts[0])
    counts = confusion_matrix(subject.labels, scores.argmax(axis=1), len(subject.class_names))
    base_recall = recalls(against, against.class_scores(prompts[0])) if against else None
    confusions = worst_confusions(counts, subject.class_names)
    base_figures = measure(against, prompts, data) if against else {}
    evaluation = Evaluation(
        model=_facts(subject.model),
        baseline=_facts(against.model) if against else None,
        data=_data_facts(subject, photos, data, not_named),
        class_names=subject.class_names,
        resamples=options.resampling.times,
        seed=options.resampling.seed,
        figures=tuple(
            figure_of(key, measured, base_figures.get(key), options.resampling)
            for key, measured in measure(subject, prompts, data).items()
        ),
        breeds=breed_rows(subject, scores, counts, base_recall),
        confusion=tuple(tuple(int(cell) for cell in row) for row in counts),
        confusions=confusions,
        reliability=reliability(subject, scores, read_config(SAMPLE_CONFIG).data),
        forgetting=_forgetting(options, subject, against, other, data),
        throughput=throughput(load_model(options.model), subject.embedded.photos),
    )
    return Result(evaluation, examples_of(subject, scores, confusions))


def _other_photos(
    options: EvaluationOptions, photos: LabelledPhotos, not_named: tuple[str, ...]
) -> OtherPhotos | None:
    if options.forgetting:
        name, _, split = options.forgetting.partition("#")
        other = load_split(name, split or "test", label_column=options.forgetting_label_column)
        public = public_name(name)
        return OtherPhotos(other, public, f"Zero-shot top-1 over the classes of {public}.")
    if len(not_named) > 1:
        what = (
            f"Zero-shot top-1 over the {len(not_named)} classes of this data set that the model "
            "has no label for."
        )
        return OtherPhotos(photos.only(not_named), public_name(options.data), what)
    return None


def _forgetting(
    options: EvaluationOptions,
    subject: EvaluatedModel,
    against: EvaluatedModel | None,
    other: OtherPhotos | None,
    data: str,
) -> Forgetting:
    if other is not None:
        baseline = against.model if against else None
        return forgetting_on(other, subject.model, baseline, options.resampling)
    return forgetting_by_species(subject, against, data, options.resampling)


def _data_facts(
    subject: EvaluatedModel, photos: LabelledPhotos, data: str, not_named: dict[str, int]
) -> DataFacts:
    source = photos.source
    return DataFacts(
        name=data,
        split=source.split,
        image_column=source.image_column,
        label_column=source.label_column,
        photos=len(subject.embedded.photos),
        skipped=(*photos.skipped, *subject.embedded.broken),
        not_named=not_named,
    )


def _facts(model: OpenClipModel) -> ModelFacts:
    info = model.info
    kind, _, rest = info.spec.partition(":")
    return ModelFacts(
        model_id=info.model_id,
        address=f"dir:{Path(rest).name}" if kind == "dir" else info.spec,
        dim=info.dim,
        image_size=info.pixel_spec.height,
        device=info.device,
        precision=info.precision,
    )


def _some(names: list[str], at_most: int = 8) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
