"""The command line. Errors are one line that says what to do; exit codes mean something."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from petsearch.client import Client
from petsearch.errors import PetsearchError
from petsearch.model import JsonDict
from petsearch.observability import configure_logging
from petsearch.photo_sources import DatasetOptions, PhotoSource, from_dataset, from_paths
from petsearch.process_tuning import tune_process
from petsearch.settings import Limits, Settings
from petsearch.uploading import Progress as UploadProgress
from petsearch.uploading import upload

EXIT_ERROR = 1
EXIT_PARTLY = 3
"""The command ended, and some photos were refused or failed."""

app = typer.Typer(
    help="Find pet photos by words or by photo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_output = Console()
_messages = Console(stderr=True)

Api = Annotated[str, typer.Option("--api", envvar="PETSEARCH_API", help="Address of the server.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DEFAULT_API = "http://127.0.0.1:8000"


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and exit code 1."""
    tune_process()
    try:
        app()
    except PetsearchError as error:
        _messages.print(f"[red]Error:[/red] {error.detail}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_ERROR)


@app.command()
def serve(
    *,
    data_dir: Annotated[Path, typer.Option(help="Folder for everything that is kept.")],
    model: Annotated[
        str, typer.Option(help="hub:<arch>/<tag>, dir:<open_clip folder> or sample.")
    ] = "",
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """Serve everything from one process: API, page, worker, model and index."""
    from petsearch.standalone import StandaloneOptions
    from petsearch.standalone import serve as serve_standalone

    _configure_logging()
    serve_standalone(
        StandaloneOptions(data_dir, model, host, port),
        on_ready=lambda _, address: _messages.print(f"petsearch is ready: {address}"),
    )


@app.command()
def demo(
    *,
    data_dir: Annotated[Path, typer.Option(help="Folder for everything that is kept.")],
    source: Annotated[
        str, typer.Option(help="Empty for the drawings, oxford-pets, or a folder of photos.")
    ] = "",
    model: Annotated[str, typer.Option(help="As for serve; fits the source by default.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    count: Annotated[int, typer.Option(min=1, help="How many drawings.")] = 480,
) -> None:
    """Serve a catalogue to look at: the bundled drawings, Oxford pets, or a folder of yours."""
    from petsearch.demo import DemoOptions, run_demo

    _configure_logging(default_level="WARNING")
    run_demo(DemoOptions(data_dir, source, model, port, count), say=_say)


@app.command()
def ingest(
    *,
    paths: Annotated[list[Path] | None, typer.Argument(help="Photos and folders.")] = None,
    dataset: Annotated[str, typer.Option(help="Hugging Face data set: hub name or folder.")] = "",
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    label_column: Annotated[str, typer.Option(help="Column that holds the breed.")] = "label",
    labels: Annotated[bool, typer.Option("--labels/--no-labels")] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many photos.")] = None,
    api: Api = _DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Upload photos and wait until each is accounted. Run again, it sends only what is missing."""
    if bool(paths) == bool(dataset):
        raise typer.BadParameter("give photos or folders, or --dataset, and not both")
    if dataset:
        options = DatasetOptions(split, label_column if labels else None, limit)
        source, name = from_dataset(dataset, options), f"dataset {Path(dataset).name} {split}"
    else:
        source, name = from_paths(paths or [], max_bytes=Limits().image_bytes), "folder"
    with Client(api) as client:
        job = _upload_with_progress(client, source, name[:200])
        problems = [
            item
            for status in ("refused", "failed")
            if job["counts"][status]
            for item in client.job_items(job["job_id"], status)
        ]
    _print_ingested(job, problems, source.skipped, as_json=as_json)
    if problems:
        raise typer.Exit(EXIT_PARTLY)


@app.command()
def search(
    *,
    words: Annotated[str, typer.Argument(help="What the photo shows.")] = "",
    image: Annotated[Path | None, typer.Option(help="Search by this photo instead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    species: Annotated[str | None, typer.Option()] = None,
    breed: Annotated[str | None, typer.Option()] = None,
    min_score: Annotated[float | None, typer.Option(min=-1, max=1)] = None,
    api: Api = _DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Search by words or by photo."""
    options = {"limit": limit, "species": species, "breed": breed, "min_score": min_score}
    if bool(words) == bool(image):
        raise typer.BadParameter("give words, or --image, and not both")
    with Client(api) as client:
        if image is not None:
            answer = client.search_photo(_read_file(image), **options)
        else:
            answer = client.search(words, **options)
    if as_json:
        _print_json(answer)
        return
    _print_found(answer)


@app.command()
def jobs(
    *,
    job_id: Annotated[str, typer.Argument(help="One job, with its refused photos.")] = "",
    api: Api = _DEFAULT_API,
    as_json: Json = False,
) -> None:
    """List jobs, or show one."""
    with Client(api) as client:
        if job_id:
            job = client.job(job_id)
            problems = [
                item
                for status in ("refused", "failed")
                for item in client.job_items(job_id, status)
            ]
            _print_ingested(job, problems, 0, as_json=as_json)
            return
        found = client.jobs()
    if as_json:
        _print_json({"items": found})
        return
    rows = [
        (job["job_id"], job["state"], f"{job['done']}/{job['total']}", job["source"])
        for job in found
    ]
    _print_table(("job", "state", "done", "source"), rows, empty="There are no jobs yet.")


def _print_found(answer: JsonDict) -> None:
    if answer["searched_for"]:
        _say(f"Searched for: {answer['searched_for']}")
    if answer["no_good_match"] and answer["items"]:
        _say("Nothing matches well; these come nearest.")
    rows = [
        (f"{hit['score']:.3f}", _share(hit), _breed(hit), hit["filename"], hit["image_id"])
        for hit in answer["items"]
    ]
    headers = ("score", "right", "breed", "file", "image_id")
    _print_table(headers, rows, empty="Nothing was found.")


def _share(hit: JsonDict) -> str:
    """The calibrated confidence, where it is known."""
    return "" if hit["confidence"] is None else f"{hit['confidence']:.0%}"


def _configure_logging(default_level: str | None = None) -> None:
    settings = Settings.from_environment()
    explicit = "log_level" in settings.model_fields_set
    level = settings.log_level if explicit or default_level is None else default_level
    configure_logging(level=level, json=settings.log_json)


def _upload_with_progress(client: Client, source: PhotoSource, name: str) -> JsonDict:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_messages) as bar:
        task = bar.add_task("ingest", total=source.count, note="")

        def show(progress: UploadProgress) -> None:
            done, reason = progress.job["done"], progress.job["reason"]
            note = reason or f"{progress.sent} sent"
            bar.update(task, completed=done, total=source.count or progress.sent, note=note)

        return upload(client, source, name=name, on_progress=show)


def _print_ingested(
    job: JsonDict, problems: list[JsonDict], skipped: int, *, as_json: bool
) -> None:
    if as_json:
        _print_json({"job": job, "problems": problems, "skipped": skipped})
        return
    counts = job["counts"]
    _output.print(
        f"{job['total']} photos: {counts['ingested']} ingested, {counts['duplicate']} were here, "
        f"{counts['refused']} refused, {counts['failed']} failed (job {job['job_id']})",
        highlight=False,
        soft_wrap=True,
    )
    if skipped:
        _output.print(f"{skipped} other files are no photos by their names and were left out.")
    rows = [(item["filename"], item["status"], item["reason"] or "") for item in problems]
    if rows:
        _print_table(("file", "", "reason"), rows, empty="")


def _print_table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, empty: str) -> None:
    if not rows:
        _output.print(empty)
        return
    table = Table(*headers, box=None, pad_edge=False)
    for row in rows:
        # Names come from strangers: they are text, not markup.
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    _output.print(table)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _breed(hit: JsonDict) -> str:
    mark = "?" if hit["breed_source"] == "predicted" else ""
    return f"{hit['breed'] or 'unknown'}{mark}"


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from error


def _say(line: str) -> None:
    _messages.print(line, highlight=False, soft_wrap=True)
