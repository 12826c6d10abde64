"""The HTML report of an evaluation, rendered from `templates` with jinja2."""

import base64
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from training.evaluation.figures import Evaluation
from training.evaluation.files import figure_cells, figure_headers, figure_rows, task_of

_HEADLINES = {
    "classification.single.top1": "top-1, single prompt",
    "classification.single.per_class": "mean per-class recall",
    "text_to_image.single.p5": "text to image, P@5",
    "text_to_image.single.map": "text to image, mAP",
    "image_to_image.p5": "photo to photo, P@5",
    "image_to_image.map": "photo to photo, mAP",
}


def report(evaluation: Evaluation, examples: Sequence[Sequence[bytes]]) -> str:
    """One HTML file; `examples` are JPEGs for each of the evaluation's confusions."""
    figures = {figure.key: figure for figure in evaluation.figures}
    headlines = [(figures[key], words) for key, words in _HEADLINES.items() if key in figures]
    encoded = [[base64.b64encode(photo).decode() for photo in photos] for photos in examples]
    template = _templates().get_template("report.html")
    return template.render(
        evaluation=evaluation,
        headlines=headlines,
        figure_headers=figure_headers(evaluation),
        figure_rows=figure_rows(evaluation),
        confusions=list(zip(evaluation.confusions, encoded, strict=True)),
    )


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("training.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cells": figure_cells,
        "share": lambda value: "" if value is None else f"{value:.3f}",
        "task": task_of,
    }
    return environment
