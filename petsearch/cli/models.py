"""The commands of a model's life: publish, models, reindex, promote, rollback."""

from pathlib import Path
from typing import Annotated

import typer

from petsearch.cli.jobs import follow
from petsearch.cli.output import (
    DEFAULT_API,
    EXIT_PARTLY,
    Api,
    Json,
    connect,
    print_json,
    print_table,
    problems_of,
    say,
)
from petsearch.domain import JsonDict

ModelId = Annotated[str, typer.Argument(help="As `petsearch models` lists it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (publish, models, reindex, promote, rollback):
        app.command()(command)


def publish(
    folder: Annotated[Path, typer.Argument(help="A model folder, as finetune writes it.")],
    *,
    name: Annotated[str, typer.Option(help="Before its hash; the folder's name if empty.")] = "",
    dataset: Annotated[
        str, typer.Option(help="Labelled photos held out of training, to calibrate with.")
    ] = "",
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "validation",
    label_column: Annotated[str, typer.Option(help="Column that holds the breed.")] = "label",
    data_dir: Annotated[
        Path | None, typer.Option(help="Of `serve`; else PETSEARCH_STORE_URL says where.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a model folder and put it into the registry, from where servers load it."""
    from petsearch.cli.publish import CalibrationData, publish_folder

    data = CalibrationData(dataset, split, label_column) if dataset else None
    published = publish_folder(folder, name=name, data_dir=data_dir, calibrate_with=data)
    manifest = published.manifest
    if as_json:
        print_json({"model_id": manifest.model_id, "new": published.is_new})
        return
    done = "is published" if published.is_new else "was published before; nothing was changed"
    say(f"{manifest.model_id} {done}. Next: petsearch reindex --model {manifest.model_id}")


def models(*, api: Api = DEFAULT_API, as_json: Json = False) -> None:
    """The models of a server: published, loaded, indexed; and which one serves."""
    with connect(api) as client:
        found = client.models()
    if as_json:
        print_json({"items": found})
        return
    headers = ("model", "", "images", "loaded", "published")
    print_table(headers, [_row(model) for model in found], empty="There are no models yet.")


def reindex(
    *,
    model: Annotated[str, typer.Option(help="Which model; with --drop: whose collection.")],
    drop: Annotated[
        bool, typer.Option("--drop", help="Give up the collection of a model that does not serve.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Until the collection is built.")] = True,
    api: Api = DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Build the collection of a published model while search goes on; `promote` lets it serve."""
    with connect(api) as client:
        if drop:
            client.drop_collection(model)
            say(f"The collection of {model} is gone.")
            return
        job = client.reindex(model)
        if wait:
            job = follow(client, job["job_id"])
        problems = problems_of(client, job) if wait else []
    if as_json:
        print_json({"job": job, "problems": problems})
    else:
        _print_reindex(job, problems)
    if wait and job["state"] != "succeeded":
        raise typer.Exit(EXIT_PARTLY)
    if not as_json:
        say(f"Next: petsearch promote {model}")


def promote(
    model_id: ModelId,
    *,
    accept_worse: Annotated[
        bool,
        typer.Option(
            "--accept-worse", help="Also if photos find those of their breed worse than before."
        ),
    ] = False,
    api: Api = DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Let a model serve whose collection is built, if it passes the gate."""
    with connect(api) as client:
        _print_moved(client.promote(model_id, accept_worse=accept_worse), as_json=as_json)


def rollback(*, api: Api = DEFAULT_API, as_json: Json = False) -> None:
    """Let the model serve again that did before the last promotion."""
    with connect(api) as client:
        _print_moved(client.rollback(), as_json=as_json)


def _print_reindex(job: JsonDict, problems: list[JsonDict]) -> None:
    counts, state = job["counts"], job["state"].replace("_", " ")
    say(
        f"{counts['ingested']} images embedded, {counts['failed']} failed "
        f"(job {job['job_id']}, {state})"
    )
    rows = [(item["image_id"] or "", item["reason"] or "") for item in problems]
    if rows:
        print_table(("image", "reason"), rows, empty="")


def _print_moved(moved: JsonDict, *, as_json: bool) -> None:
    if as_json:
        print_json(moved)
        return
    for check in moved["checks"]:
        say(f"{check['name']}: {check['detail']}")
    say(f"{moved['model_id']} serves now instead of {moved['previous']} ({moved['took_ms']} ms).")


def _row(model: JsonDict) -> tuple[str, ...]:
    role = "current" if model["current"] else "previous" if model["previous"] else ""
    images = "" if model["images"] is None else str(model["images"])
    loaded = "yes" if model["loaded"] else ""
    return model["model_id"], role, images, loaded, (model["published_at"] or "")[:10]
