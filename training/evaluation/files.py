"""Writes an evaluation as JSON and Markdown, and reads the JSON back."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from petsearch.calibration.resampling import Estimate
from petsearch.domain import JsonDict
from petsearch.domain.errors import InvalidInput
from training.evaluation.figures import Evaluation, Figure

_EVALUATION = TypeAdapter(Evaluation)
_DIGITS = 5


def as_json(evaluation: Evaluation) -> JsonDict:
    """JSON values; floats are rounded to five decimals."""
    text = _EVALUATION.dump_json(evaluation)
    return dict(json.loads(text, parse_float=lambda digits: round(float(digits), _DIGITS)))


def json_text(evaluation: Evaluation) -> str:
    """JSON with one list entry per line, for diffs."""
    lines = [f"{json.dumps(key)}: {_value(value)}" for key, value in as_json(evaluation).items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_json(path: Path) -> Evaluation:
    """Read an evaluation that `json_text` wrote.

    Raises:
        InvalidInput: the file does not hold an evaluation.
    """
    try:
        return _EVALUATION.validate_json(path.read_bytes())
    except ValidationError as error:
        raise InvalidInput(f"{path} is not an evaluation: {error.errors()[0]['msg']}.") from error


def markdown(evaluation: Evaluation) -> str:
    """The figures as a Markdown table, with a description and the photos that were left out."""
    data, model = evaluation.data, evaluation.model
    lines = [
        f"# {model.model_id} on {data.name} ({data.split})",
        "",
        f"{data.photos} photos, {len(evaluation.class_names)} classes, {model.precision} on "
        f"{model.device}. In brackets: 95 % of {evaluation.resamples} bootstrap resamples "
        f"(seed {evaluation.seed}).",
    ]
    if evaluation.baseline:
        lines.append(f"Baseline: {evaluation.baseline.model_id}; differences are paired.")
    lines += ["", *table(figure_rows(evaluation), figure_headers(evaluation)), ""]
    if evaluation.data.not_named:
        names = ", ".join(f"{name} ({count})" for name, count in data.not_named.items())
        lines += [f"Left out because the model has no label for them: {names}.", ""]
    if data.skipped:
        lines += [f"{len(data.skipped)} photos were skipped:", ""]
        lines += [f"- {photo.name}: {photo.reason}" for photo in data.skipped] + [""]
    lines += [f"Forgetting: {evaluation.forgetting.what}", ""]
    return "\n".join(lines)


def figure_rows(evaluation: Evaluation) -> list[list[str]]:
    """The cells of every figure; see `figure_headers`."""
    figures = [*evaluation.figures]
    if evaluation.forgetting.figure:
        figures.append(evaluation.forgetting.figure)
    return [figure_cells(figure) for figure in figures]


def table(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> list[str]:
    """The lines of a Markdown table."""
    ruled = [list(headers), ["---"] * len(headers), *(list(row) for row in rows)]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in ruled]


def with_interval(estimate: Estimate, *, signed: bool = False) -> str:
    """Format as `0.683 [0.661, 0.704]`."""
    sign = "+" if signed else ""
    return f"{estimate.value:{sign}.3f} [{estimate.low:{sign}.3f}, {estimate.high:{sign}.3f}]"


def prompts_of(figure: Figure) -> str:
    """The template, or the number of templates."""
    if not (templates := figure.protocol.templates):
        return "(a photo)"
    return f'"{templates[0]}"' if len(templates) == 1 else f"mean of {len(templates)} templates"


def task_of(figure: Figure) -> str:
    """The task in words."""
    if figure.key.startswith("forgetting"):
        return "forgetting"
    return figure.protocol.task.replace("_", " ")


def figure_cells(figure: Figure) -> list[str]:
    cells = [
        task_of(figure),
        prompts_of(figure),
        figure.metric,
        f"{figure.count} {figure.unit}",
        with_interval(figure.estimate),
    ]
    if figure.baseline and figure.difference:
        cells += [with_interval(figure.baseline), with_interval(figure.difference, signed=True)]
    return cells


def figure_headers(evaluation: Evaluation) -> list[str]:
    """The headers of `figure_rows`."""
    headers = ["task", "prompt", "metric", "over", "value [95 %]"]
    return [*headers, "baseline", "difference"] if evaluation.baseline else headers


def _value(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n " + ",\n ".join(json.dumps(entry) for entry in value) + "\n]"
    return json.dumps(value)
