"""The results table of the README: `python -m training.evaluation.results_table` writes it.

Its rows are the evaluations in docs/results, written by `petsearch evaluate`, and models that were
not measured, with the commands to do so. A test checks that the README is up to date.
"""

from pathlib import Path
from typing import Annotated

import typer

from petsearch.domain.errors import InvalidInput
from training.evaluation.figures import Evaluation
from training.evaluation.files import read_json, table, with_interval

BEGIN = "<!-- results: begin (python -m training.evaluation.results_table) -->"
END = "<!-- results: end -->"
ROOT = Path(__file__).parents[2]
_HUB_DATA = "timm/oxford-iiit-pet"
_HEADERS = (
    "model",
    "top-1",
    "mean per-class recall",
    "text to image P@5",
    "text to image mAP",
    "photo to photo P@5",
    "photo to photo mAP",
    "measured on",
    "command",
)
_KEYS = (
    "classification.single.top1",
    "classification.single.per_class",
    "text_to_image.single.p5",
    "text_to_image.single.map",
    "image_to_image.p5",
    "image_to_image.map",
)


def _trained(config: str, base: str) -> tuple[str, ...]:
    return (
        f"petsearch finetune --config training/configs/{config}.toml --data {_HUB_DATA} "
        f"--out models/{config}",
        f"petsearch evaluate --model models/{config} --data {_HUB_DATA} "
        f"--baseline {base} --out reports/{config}",
    )


NOT_MEASURED = {
    "ViT-B/32 openai, zero-shot": (
        f"petsearch evaluate --model hub:ViT-B-32/openai --data {_HUB_DATA}",
    ),
    "the recipe this project came from (`ancestor.toml`)": _trained(
        "ancestor", "hub:ViT-B-32/openai"
    ),
    "our best recipe (`pets.toml`)": _trained("pets", "hub:ViT-B-32/laion2b_s34b_b79k"),
}
"""Models whose weights are on the hub, with the commands that measure them."""


def results_table(results: Path) -> str:
    """A Markdown table of every evaluation in a folder, and of `NOT_MEASURED`."""
    rows = [_row(read_json(path)) for path in sorted(results.glob("*.json"))]
    for model, commands in NOT_MEASURED.items():
        listed = "<br>".join(f"`{command}`" for command in commands)
        rows.append([model, "not measured here", *[""] * (len(_HEADERS) - 3), listed])
    return "\n".join(table(rows, _HEADERS))


def with_table(readme: str, results: Path) -> str:
    """Replace the table between the markers of a README.

    Raises:
        InvalidInput: the markers are missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InvalidInput(f"The README has no markers for results: {BEGIN} … {END}.")
    return f"{before}{BEGIN}\n{results_table(results)}\n{END}{after}"


def _row(evaluation: Evaluation) -> list[str]:
    figures = {figure.key: figure for figure in evaluation.figures}
    data, single = evaluation.data, figures[_KEYS[0]].protocol
    values = [with_interval(figures[key].estimate) if key in figures else "" for key in _KEYS]
    measured_on = (
        f"{data.name}, {data.split}: {data.photos} photos, {len(evaluation.class_names)} classes; "
        f'"{single.templates[0]}"'
    )
    command = f"petsearch evaluate --model {evaluation.model.address} --data {data.name}"
    if data.split != "test":
        command += f" --split {data.split}"
    is_ours = evaluation.model.address.startswith("dir:")
    where = " (folders that are not published)" if is_ours else ""
    return [f"`{evaluation.model.model_id}`", *values, measured_on, f"`{command}`{where}"]


def main(
    readme: Annotated[Path, typer.Option()] = ROOT / "README.md",
    results: Annotated[Path, typer.Option(help="Folder of evaluations.")] = ROOT / "docs/results",
) -> None:
    """Write the results table into the README."""
    try:
        changed = with_table(readme.read_text(encoding="utf-8"), results)
    except InvalidInput as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    readme.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
