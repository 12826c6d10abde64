"""The command `petsearch ingest`: uploads photos, or has the server read them."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from petsearch.cli import ingest_options as given
from petsearch.cli.connection import Api, connect
from petsearch.cli.jobs import finish, follow, reason_printer, size_of
from petsearch.cli.output import Json, progress_bar
from petsearch.client import (
    Client,
    PhotoSource,
    Progress,
    add_metadata,
    first_photos,
    from_dataset,
    from_drawings,
    from_paths,
    join_table,
    upload,
)
from petsearch.domain import JsonDict
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import safe_filename
from petsearch.sources import DatasetOptions
from petsearch.tables import Columns, read_urls


def ingest(
    *,
    paths: given.Paths = None,
    dataset: given.Dataset = "",
    split: given.Split = "train",
    label_column: given.LabelColumn = "label",
    labels: given.Labels = True,
    limit: given.Limit = None,
    archive: given.Archive = None,
    manifest: given.Manifest = None,
    table: given.Table = None,
    column: given.Column = None,
    s3: given.S3 = "",
    urls: given.Urls = None,
    drawings: given.Drawings = 0,
    exif_dates: given.ExifDates = True,
    gps: given.Gps = False,
    status: given.Status = "",
    animal_id: given.AnimalId = "",
    tag: given.Tag = None,
    set_: given.Set = None,
    animal_from_folder: given.AnimalFromFolder = False,
    wait: given.Wait = True,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Add photos and wait until all are processed. Run again, it sends only what is missing.

    Photos, folders and local data sets are uploaded; everything else is read by the server, if it
    is allowed to.
    """
    columns = _columns(column or [])
    said = _said(status, animal_id, tag or [], set_ or [])
    options = DatasetOptions(split, label_column if labels else None, limit)
    _check_choice(paths, dataset, archive, manifest, s3, urls, drawings)
    is_sent = bool(paths or drawings or _is_here(dataset))
    _check_options(dataset, options, is_described=bool(said or animal_from_folder), is_sent=is_sent)
    _check_tables(paths, manifest, table, columns)
    _check_files(archive, manifest, urls, table)
    how: JsonDict = {"exif_dates": exif_dates, "gps": gps}
    with connect(api) as client:
        if not is_sent:
            job = _have_read(client, archive, manifest, urls, s3, dataset, columns, options, how)
            job = follow(client, job["job_id"]) if wait else job
            finish(client, job, as_json=as_json)
            return
        source, name = _local_source(client, paths, drawings, dataset, options, gps=gps)
        if table is not None:
            source = join_table(source, table, columns)
        source = add_metadata(source, said, animal_from_folder=animal_from_folder)
        finish(client, _upload(client, source, name, **how), source, as_json=as_json)


def _check_choice(*sources: object) -> None:
    if sum(map(bool, sources)) != 1:
        raise typer.BadParameter(
            "give photos or folders, or one of --dataset, --archive, --manifest, --s3, --urls, "
            "--drawings"
        )


def _check_options(
    dataset: str, options: DatasetOptions, *, is_described: bool, is_sent: bool
) -> None:
    if not dataset and options != DatasetOptions(limit=options.limit):
        raise typer.BadParameter("--split, --label-column and --no-labels are for --dataset")
    if options.limit is not None and not (dataset or is_sent):
        raise typer.BadParameter("--limit is for photos sent from here, and for --dataset")
    if is_described and not is_sent:
        raise typer.BadParameter("--status, --tag and the like are for photos sent from here")


def _check_tables(
    paths: object, manifest: Path | None, table: Path | None, columns: Columns
) -> None:
    if table is not None and not paths:
        raise typer.BadParameter("--table describes photos and folders; see also --manifest")
    if columns and manifest is None and table is None:
        raise typer.BadParameter("--column is for --manifest and --table")


def _check_files(*files: Path | None) -> None:
    for file in files:
        if file is not None and not file.is_file():
            raise InvalidInput(f"There is no file {file}.")


def _have_read(
    client: Client,
    archive: Path | None,
    manifest: Path | None,
    urls: Path | None,
    s3: str,
    dataset: str,
    columns: Columns,
    options: DatasetOptions,
    how: JsonDict,
) -> JsonDict:
    """The job of a source that the server reads."""
    file = archive or manifest
    if file is not None:
        kind = "archive" if archive else "manifest"
        return client.upload_source(kind, file, columns=columns, **how)
    if urls is not None:
        with urls.open("rb") as lines:
            return client.read_urls(read_urls(lines), **how)
    return client.read_source(_server_source(s3, dataset, options), **how)


def _said(status: str, animal_id: str, tags: list[str], attributes: list[str]) -> JsonDict:
    """What options state of all photos."""
    pairs = [entry.partition("=") for entry in attributes]
    if not all(name and equals for name, equals, _ in pairs):
        raise typer.BadParameter("--set takes NAME=VALUE")
    if len({name for name, _, _ in pairs}) < len(pairs):
        raise typer.BadParameter("--set takes one value for a name")
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
) -> tuple[PhotoSource, str]:
    """Photos that are uploaded from here, with a name."""
    if dataset:
        name = f"dataset {safe_filename(dataset)} {options.split}"
        return from_dataset(dataset, options), name
    if paths:
        source = from_paths(paths, max_bytes=lambda: client.limits()["image_bytes"], gps=gps)
    else:
        source = from_drawings(drawings)
    if options.limit is not None:
        source = first_photos(source, options.limit)
    return source, "folder" if paths else "drawings"


def _is_here(dataset: str) -> bool:
    """Whether a data set is a folder, and is not read from the hub by the server."""
    return bool(dataset) and (dataset.startswith((".", "/", "~")) or Path(dataset).exists())


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
            say_reason(progress.job)
            total = size_of(progress.job)
            bar.update(task, completed=progress.job["done"], total=total, note=note)

        return upload(client, source, name=name[:200], on_progress=show, **options)
