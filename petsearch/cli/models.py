"""The commands that list and change the model that a server searches with."""

from typing import Annotated

import typer

from petsearch.cli.connection import Api, connect
from petsearch.cli.jobs import follow, problems_of, state_of
from petsearch.cli.output import (
    EXIT_PARTLY,
    Json,
    print_json,
    print_message,
    print_table,
)
from petsearch.domain import JsonDict

ModelId = Annotated[str, typer.Argument(help="As listed by `petsearch models`.")]


def models(*, api: Api = None, as_json: Json = False) -> None:
    """List the models of a server: published, loaded, indexed, and which one is current."""
    with connect(api) as client:
        found = client.models()
    if as_json:
        print_json({"items": found})
        return
    headers = ("model", "", "images", "loaded", "published")
    print_table(headers, [_row(model) for model in found], empty="There are no models yet.")


def reindex(
    *,
    model: Annotated[str, typer.Option(help="The model; with --drop, the one whose collection.")],
    drop: Annotated[
        bool, typer.Option("--drop", help="Delete the collection of a model that is not current.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the collection is built.")] = True,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Build the collection of a published model while search goes on.

    `petsearch promote` then makes the model the current one.
    """
    with connect(api) as client:
        if drop:
            client.drop_collection(model)
            print_message(f"The collection of {model} is deleted.")
            return
        job, problems = client.reindex(model), list[JsonDict]()
        if wait:
            job = follow(client, job["job_id"])
            problems = problems_of(client, job)
    if as_json:
        print_json({"job": job, "problems": problems})
    else:
        _print_reindex(job, problems)
    if wait and job["state"] != "succeeded":
        raise typer.Exit(EXIT_PARTLY)
    if not as_json:
        print_message(f"Next: petsearch promote {model}")


def promote(
    model_id: ModelId,
    *,
    accept_worse: Annotated[
        bool,
        typer.Option(
            "--accept-worse",
            help="Promote even if photos find photos of the same breed worse than before.",
        ),
    ] = False,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Make a model with a finished collection the current one, if it passes the checks."""
    with connect(api) as client:
        _print_switch(client.promote(model_id, accept_worse=accept_worse), as_json=as_json)


def rollback(*, api: Api = None, as_json: Json = False) -> None:
    """Make the model before the last promotion the current one again."""
    with connect(api) as client:
        _print_switch(client.rollback(), as_json=as_json)


def _print_reindex(job: JsonDict, problems: list[JsonDict]) -> None:
    counts = job["counts"]
    print_message(
        f"{counts['ingested']} images embedded, {counts['failed']} failed "
        f"(job {job['job_id']}, {state_of(job)})"
    )
    rows = [(item["image_id"] or "", item["reason"] or "") for item in problems]
    print_table(("image", "reason"), rows)


def _print_switch(switch: JsonDict, *, as_json: bool) -> None:
    if as_json:
        print_json(switch)
        return
    for check in switch["checks"]:
        print_message(f"{check['name']}: {check['detail']}")
    print_message(
        f"{switch['model_id']} is current now instead of {switch['previous']} "
        f"({switch['took_ms']} ms)."
    )


def _row(model: JsonDict) -> tuple[str, ...]:
    role = "current" if model["current"] else "previous" if model["previous"] else ""
    images = "" if model["images"] is None else str(model["images"])
    loaded = "yes" if model["loaded"] else ""
    return model["model_id"], role, images, loaded, (model["published_at"] or "")[:10]
