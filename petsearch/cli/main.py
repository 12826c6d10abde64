"""The command line. Errors are one line that says what to do; exit codes mean something."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import petsearch
from petsearch.cli import jobs, keys, models
from petsearch.cli.ingest import IngestCommand, check_file
from petsearch.cli.ingest import ingest as run_ingest
from petsearch.cli.output import (
    DEFAULT_API,
    EXIT_ERROR,
    EXIT_PARTLY,
    Api,
    Json,
    connect,
    messages,
    print_json,
    print_table,
    say,
)
from petsearch.domain import JsonDict
from petsearch.domain.errors import PetsearchError
from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process
from petsearch.settings import Settings
from petsearch.sources import DatasetOptions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
models.register(app)


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and exit code 1."""
    tune_process()
    try:
        app()
    except PetsearchError as error:
        messages.print(f"[red]Error:[/red] {error.detail}", highlight=False, soft_wrap=True)
        sys.exit(EXIT_ERROR)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(petsearch.__version__)
        raise typer.Exit


@app.callback()
def before_each_command(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print it and end."),
    ] = False,
) -> None:
    """Find pet photos by words or by photo."""
    _configure_logging(default_level="WARNING")


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

    # A server tells what it does; other commands, what goes wrong.
    _configure_logging()
    serve_standalone(
        StandaloneOptions(data_dir, model, host, port),
        on_ready=lambda _, address: messages.print(f"petsearch is ready: {address}"),
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
    from petsearch.cli.demo import DemoOptions, run_demo

    run_demo(DemoOptions(data_dir, source, model, port, count), say=say)


@app.command()
def init(
    *,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for servers that do not answer yet.")
    ] = 60.0,
) -> None:
    """Make the bucket and the first collection of PETSEARCH_…_URL, where they are missing."""
    from petsearch.cli.init import initialise

    target = initialise(Settings.from_environment(), patience_s=patience, say=say)
    if target is not None:
        say(f"Ready: collection {target.collection}, model {target.model.model_id}.")


@app.command()
def ingest(
    *,
    paths: Annotated[list[Path] | None, typer.Argument(help="Photos and folders.")] = None,
    dataset: Annotated[
        str, typer.Option(help="Hugging Face data set: a folder, or a hub name the server reads.")
    ] = "",
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "train",
    label_column: Annotated[str, typer.Option(help="Column that holds the breed.")] = "label",
    labels: Annotated[bool, typer.Option("--labels/--no-labels")] = True,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many photos.")] = None,
    archive: Annotated[Path | None, typer.Option(help="A zip or tar of photos.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="A CSV or JSONL that says where photos are, and of what.")
    ] = None,
    s3: Annotated[str, typer.Option(help="bucket/prefix on the server's S3.")] = "",
    urls: Annotated[Path | None, typer.Option(help="A file with a web address a line.")] = None,
    drawings: Annotated[int, typer.Option(min=0, help="So many of the demo's drawings.")] = 0,
    wait: Annotated[bool, typer.Option(help="Until the server has read it all.")] = True,
    api: Api = DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Bring photos in and wait until each is accounted. Run again, it sends only what is missing.

    Photos, folders and local data sets are uploaded from here; everything else is a job that the
    server reads by itself, where it is allowed to.
    """
    command = IngestCommand(
        paths=paths or [],
        dataset=dataset,
        dataset_options=DatasetOptions(split, label_column if labels else None, limit),
        archive=check_file(archive),
        manifest=check_file(manifest),
        s3=s3,
        urls=check_file(urls),
        drawings=drawings,
        wait=wait,
    )
    run_ingest(command, api, as_json=as_json)


@app.command()
def search(
    *,
    words: Annotated[str, typer.Argument(help="What the photo shows.")] = "",
    image: Annotated[Path | None, typer.Option(help="Search by this photo instead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    species: Annotated[str | None, typer.Option()] = None,
    breed: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="Such as lost, found or adopted.")] = None,
    animal_id: Annotated[str | None, typer.Option(help="Photos of one animal.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated: all of them.")] = None,
    min_score: Annotated[float | None, typer.Option(min=-1, max=1)] = None,
    api: Api = DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Search by words or by photo."""
    options = {
        **{"limit": limit, "species": species, "breed": breed, "status": status},
        **{"animal_id": animal_id, "tag": tag or None, "min_score": min_score},
    }
    if bool(words) == bool(image):
        raise typer.BadParameter("give words, or --image, and not both")
    with connect(api) as client:
        if image is not None:
            answer = client.search_photo(_read_file(image), **options)
        else:
            answer = client.search(words, **options)
    if as_json:
        print_json(answer)
        return
    _print_found(answer)


@app.command()
def evaluate(
    *,
    model: Annotated[str, typer.Option(help="A model folder, hub:<arch>/<tag> or sample.")],
    data: Annotated[str, typer.Option(help="Labelled photos: hub name or folder; or drawings.")],
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test",
    image_column: Annotated[
        str | None, typer.Option(help="Column with the photos; the first with images.")
    ] = None,
    label_column: Annotated[str, typer.Option(help="Column with the breeds.")] = "label",
    baseline: Annotated[str | None, typer.Option(help="Another model, measured beside it.")] = None,
    template: Annotated[
        str | None, typer.Option(help='The single prompt: "a photo of a {}."')
    ] = None,
    forgetting: Annotated[
        str | None, typer.Option(help="Photos of other things: a data set, or NAME#SPLIT.")
    ] = None,
    forgetting_label_column: Annotated[str, typer.Option(help="Its labels.")] = "label",
    seed: Annotated[int, typer.Option(help="Of the resampling.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a model on labelled photos: naming, text queries, photo queries, confidences."""
    from petsearch.cli.evaluate import EvaluateCommand
    from petsearch.cli.evaluate import evaluate as run

    if template is not None and "{}" not in template:
        raise typer.BadParameter("a template holds {} where the name goes")
    command = EvaluateCommand(
        model=model,
        data=data,
        split=split,
        image_column=image_column,
        label_column=label_column,
        baseline=baseline,
        template=template,
        forgetting=forgetting,
        forgetting_label_column=forgetting_label_column,
        seed=seed,
        out=out,
    )
    run(command, as_json=as_json)


@app.command()
def reconcile(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is found.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Of a stopped `serve`; else PETSEARCH_…_URL say where.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the index with the stored objects, and mend what a crash left between them."""
    from petsearch.cli.reconcile import reconcile as run

    if not run(data_dir, fix=fix, as_json=as_json):
        raise typer.Exit(EXIT_PARTLY)


@app.command()
def backup(
    *,
    out: Annotated[
        str, typer.Option(help="A new folder, or s3+http://<host>:<port>/<bucket>/<prefix>.")
    ],
    objects: Annotated[
        bool, typer.Option("--objects", help="Copy the photos too, not only the list of them.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Of a stopped `serve`; else PETSEARCH_…_URL say where.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Back up index, jobs, keys and the list of objects, with a checksum of every part."""
    from petsearch.cli.backup import backup as run

    run(out, data_dir, with_objects=objects, as_json=as_json)


@app.command()
def restore(
    *,
    place: Annotated[str, typer.Argument(help="What `backup --out` was given.")],
    into_existing: Annotated[
        bool, typer.Option("--into-existing", help="Also where there are photos or jobs already.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="For `serve`, stopped; else PETSEARCH_…_URL say where.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a backup and restore it. Cut off, it goes on when it is run again."""
    from petsearch.cli.backup import restore as run

    run(place, data_dir, into_existing=into_existing, as_json=as_json)


@app.command()
def finetune(
    *,
    config: Annotated[Path, typer.Option(help="A TOML file; see training/configs.")],
    out: Annotated[Path, typer.Option(help="The model folder to write; a stopped run goes on.")],
    base: Annotated[
        str, typer.Option(help="hub:<arch>/<tag> or dir:<folder>, instead of the file's.")
    ] = "",
    data: Annotated[
        str, typer.Option(help="Hub name or folder of labelled photos, instead of the file's.")
    ] = "",
) -> None:
    """Fine-tune a model on labelled photos and write it as a model folder."""
    from petsearch.cli.finetune import finetune as run

    run(config, base, data, out)


def _print_found(answer: JsonDict) -> None:
    if answer["searched_for"]:
        say(f"Searched for: {answer['searched_for']}")
    if answer["no_good_match"] and answer["items"]:
        say("Nothing matches well; these come nearest.")
    rows = [
        (f"{hit['score']:.3f}", _share(hit), _breed(hit), hit["filename"], hit["image_id"])
        for hit in answer["items"]
    ]
    headers = ("score", "right", "breed", "file", "image_id")
    print_table(headers, rows, empty="Nothing was found.")


def _share(hit: JsonDict) -> str:
    """The calibrated confidence, where it is known."""
    return "" if hit["confidence"] is None else f"{hit['confidence']:.0%}"


def _configure_logging(default_level: str | None = None) -> None:
    settings = Settings.from_environment()
    explicit = "log_level" in settings.model_fields_set
    level = settings.log_level if explicit or default_level is None else default_level
    configure_logging(level=level, json=settings.log_json)


def _breed(hit: JsonDict) -> str:
    mark = "?" if hit["breed_source"] == "predicted" else ""
    return f"{hit['breed'] or 'unknown'}{mark}"


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from error
