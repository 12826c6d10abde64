"""The command `petsearch ingest`: uploads photos, or has the server read them; waits till done."""

from dataclasses import dataclass
from pathlib import Path

import typer

from petsearch.cli.jobs import follow
from petsearch.cli.output import EXIT_PARTLY, connect, print_job, problems_of, progress_bar
from petsearch.client import (
    Client,
    PhotoSource,
    Progress,
    from_dataset,
    from_drawings,
    from_paths,
    upload,
)
from petsearch.domain import JsonDict
from petsearch.domain.errors import InvalidInput
from petsearch.settings import Limits
from petsearch.sources import DatasetOptions


@dataclass(frozen=True)
class IngestCommand:
    """What was asked for on the command line; exactly one source is given."""

    paths: list[Path]
    dataset: str
    dataset_options: DatasetOptions
    archive: Path | None
    manifest: Path | None
    s3: str
    urls: Path | None
    drawings: int
    """How many of the bundled drawings."""
    wait: bool


def ingest(command: IngestCommand, api: str, *, as_json: bool) -> None:
    """Run it, print what became of every photo; exit code 3 if some were refused or failed."""
    given = (
        command.paths,
        command.dataset,
        command.archive,
        command.manifest,
        command.s3,
        command.urls,
        command.drawings,
    )
    if sum(map(bool, given)) != 1:
        raise typer.BadParameter(
            "give photos or folders, or one of --dataset, --archive, --manifest, --s3, --urls, "
            "--drawings"
        )
    with connect(api) as client:
        if command.paths or command.drawings or _is_here(command.dataset):
            source, name = _local(command)
            job, skipped = _upload(client, source, name), source.skipped
        else:
            job, skipped = _started(client, command), 0
            if command.wait:
                job = follow(client, job["job_id"])
        problems = problems_of(client, job)
    print_job(job, problems, skipped, as_json=as_json)
    if problems or job["state"] == "failed":
        raise typer.Exit(EXIT_PARTLY)


def _is_here(dataset: str) -> bool:
    """Local folders are read here and uploaded; a hub name is a job that the server reads."""
    return bool(dataset) and (dataset.startswith((".", "/", "~")) or Path(dataset).exists())


def _local(command: IngestCommand) -> tuple[PhotoSource, str]:
    if command.paths:
        return from_paths(command.paths, max_bytes=Limits().image_bytes), "folder"
    if command.drawings:
        return from_drawings(command.drawings), "drawings"
    options = command.dataset_options
    name = f"dataset {Path(command.dataset).name} {options.split}"
    return from_dataset(command.dataset, options), name


def _started(client: Client, command: IngestCommand) -> JsonDict:
    """The job of a source that the server reads."""
    if command.archive is not None:
        return client.upload_source("archive", command.archive)
    if command.manifest is not None:
        return client.upload_source("manifest", command.manifest)
    if command.urls is not None:
        lines = [line.strip() for line in command.urls.read_text().splitlines()]
        return client.read_source({"type": "urls", "urls": [line for line in lines if line]})
    if command.s3:
        bucket, _, prefix = command.s3.removeprefix("s3://").partition("/")
        return client.read_source({"type": "s3", "bucket": bucket, "prefix": prefix})
    options = command.dataset_options
    return client.read_source(
        {
            "type": "dataset",
            "name": command.dataset,
            "split": options.split,
            "label_column": options.label_column,
            "limit": options.limit,
        }
    )


def _upload(client: Client, source: PhotoSource, name: str) -> JsonDict:
    with progress_bar() as bar:
        task = bar.add_task("ingest", total=source.count, note="")

        def show(progress: Progress) -> None:
            done, reason = progress.job["done"], progress.job["reason"]
            note = reason or f"{progress.sent} sent"
            bar.update(task, completed=done, total=source.count or progress.sent, note=note)

        return upload(client, source, name=name[:200], on_progress=show)


def check_file(path: Path | None) -> Path | None:
    """For options that name a file.

    Raises:
        InvalidInput: there is none.
    """
    if path is not None and not path.is_file():
        raise InvalidInput(f"There is no file {path}.")
    return path
