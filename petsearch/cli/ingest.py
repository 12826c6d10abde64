"""The command `petsearch ingest`: uploads photos, or has the server read them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from petsearch.cli.connection import DEFAULT_API, Api, connect
from petsearch.cli.jobs import NO_PHOTOS, finish, follow, reason_printer
from petsearch.cli.output import Json, progress_bar
from petsearch.client import (
    Client,
    PhotoSource,
    Progress,
    from_dataset,
    from_drawings,
    from_paths,
    stating,
    upload,
)
from petsearch.domain import JsonDict
from petsearch.domain.errors import InvalidInput
from petsearch.sources import DatasetOptions
from petsearch.tables import read_urls


def ingest(
    *,
    paths: Annotated[list[Path] | None, typer.Argument(help="Photos and folders.")] = None,
    dataset: Annotated[
        str, typer.Option(help="Hugging Face data set: a folder, or a hub name the server reads.")
    ] = "",
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    label_column: Annotated[str, typer.Option(help="Column that holds the breed.")] = "label",
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Whether to read the breeds.")
    ] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many photos.")] = None,
    archive: Annotated[Path | None, typer.Option(help="A zip or tar of photos.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="A CSV, JSONL or XLSX file of photos and their metadata.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FIELD", help="What a column of the manifest holds; NAME= leaves it out."
        ),
    ] = None,
    s3: Annotated[str, typer.Option(help="bucket/prefix on the server's S3.")] = "",
    urls: Annotated[
        Path | None, typer.Option(help="A file with one URL per line; # begins a comment.")
    ] = None,
    drawings: Annotated[int, typer.Option(min=0, help="Number of the demo's drawings.")] = 0,
    exif_dates: Annotated[
        bool,
        typer.Option(
            "--exif-dates/--no-exif-dates", help="Whether dates in photos' files are used."
        ),
    ] = True,
    gps: Annotated[
        bool, typer.Option("--gps", help="Read places from photos and from files beside them.")
    ] = False,
    status: Annotated[str, typer.Option(help="Status of all uploaded photos.")] = "",
    animal_id: Annotated[str, typer.Option(help="Animal of all uploaded photos.")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="Tag of all uploaded photos; may be repeated.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Attribute of all uploaded photos."),
    ] = None,
    animal_from_folder: Annotated[
        bool, typer.Option("--animal-from-folder", help="Name the animal by a photo's folder.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the server has read all photos.")] = True,
    api: Api = DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Add photos and wait until all are processed. Run again, it sends only what is missing.

    Photos, folders and local data sets are uploaded; everything else is read by the server, if it
    is allowed to.
    """
    columns = _columns(column or [])
    if columns and manifest is None:
        raise typer.BadParameter("--column is for --manifest")
    for file in (archive, manifest, urls):
        if file is not None and not file.is_file():
            raise InvalidInput(f"There is no file {file}.")
    if sum(map(bool, (paths, dataset, archive, manifest, s3, urls, drawings))) != 1:
        raise typer.BadParameter(
            "give photos or folders, or one of --dataset, --archive, --manifest, --s3, --urls, "
            "--drawings"
        )
    said = _said(status, animal_id, tag or [], set_ or [])
    if (said or animal_from_folder) and not (paths or drawings or dataset):
        raise typer.BadParameter("--status, --tag and the like are for photos sent from here")
    options = DatasetOptions(split, label_column if labels else None, limit)
    how: JsonDict = {"exif_dates": exif_dates, "gps": gps}
    with connect(api) as client:
        local = _local_source(client, paths, drawings, dataset, options, gps=gps)
        if local is not None:
            source, name = local
            source = stating(source, said, animal_from_folder=animal_from_folder)
            local = source, name
            job = _upload(client, source, name, **how)
        else:
            file = archive or manifest
            if file is not None:
                kind = "archive" if archive else "manifest"
                job = client.upload_source(kind, file, columns=columns, **how)
            elif urls is not None:
                with urls.open("rb") as lines:
                    job = client.read_urls(read_urls(lines), **how)
            else:
                job = client.read_source(_server_source(s3, dataset, options), **how)
            if wait:
                job = follow(client, job["job_id"])
        finish(client, job, local[0] if local else NO_PHOTOS, as_json=as_json)


def _said(status: str, animal_id: str, tags: list[str], attributes: list[str]) -> JsonDict:
    """What options state of all photos."""
    pairs = [entry.partition("=") for entry in attributes]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("--set takes NAME=VALUE")
    set_ = {name: value for name, _, value in pairs}
    given = {"status": status, "animal_id": animal_id, "tags": tags, "attributes": set_}
    return {name: value for name, value in given.items() if value}


def _local_source(
    client: Client,
    paths: list[Path] | None,
    drawings: int,
    dataset: str,
    options: DatasetOptions,
    *,
    gps: bool,
) -> tuple[PhotoSource, str] | None:
    """Photos that are uploaded from here, with a name; None if the server reads the source."""
    if paths:
        return from_paths(
            paths, max_bytes=lambda: client.limits()["image_bytes"], gps=gps
        ), "folder"
    if drawings:
        return from_drawings(drawings), "drawings"
    if dataset and (dataset.startswith((".", "/", "~")) or Path(dataset).exists()):
        name = f"dataset {Path(dataset).name} {options.split}"
        return from_dataset(dataset, options), name
    return None


def _columns(given: Sequence[str]) -> dict[str, str | None]:
    """What columns hold, from `NAME=FIELD`.

    Raises:
        BadParameter: there is no "=".
    """
    pairs = [entry.rpartition("=") for entry in given]
    if not all(equals and name for name, equals, _ in pairs):
        raise typer.BadParameter("--column takes NAME=FIELD, or NAME= to leave a column out")
    return {name: field or None for name, _, field in pairs}


def _server_source(s3: str, dataset: str, options: DatasetOptions) -> JsonDict:
    """The source as in `POST /v1/jobs`."""
    if s3:
        bucket, _, prefix = s3.removeprefix("s3://").partition("/")
        return {"type": "s3", "bucket": bucket, "prefix": prefix}
    return {"type": "dataset", "name": dataset, **asdict(options)}


def _upload(client: Client, source: PhotoSource, name: str, **options: Any) -> JsonDict:
    with progress_bar() as bar:
        task = bar.add_task("ingest", total=source.count)
        say_reason = reason_printer()

        def show(progress: Progress) -> None:
            note = progress.job["reason"] or f"{progress.sent} sent"
            total = source.count or progress.sent
            say_reason(progress.job)
            bar.update(task, completed=progress.job["done"], total=total, note=note)

        return upload(client, source, name=name[:200], on_progress=show, **options)
