"""What commands share: options, tables, JSON, progress bars, exit codes."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from petsearch.client import Client
from petsearch.domain import JsonDict

EXIT_ERROR = 1
EXIT_PARTLY = 3
"""The command ended, and some photos were refused or failed."""

Api = Annotated[str, typer.Option("--api", envvar="PETSEARCH_API", help="Address of the server.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_API = "http://127.0.0.1:8000"

_IDS = {"image_id", "image", "job", "key", "model"}
_PIPE_WIDTH = 1000
"""Of a file or pipe, which would have 80 columns."""

output = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
messages = Console(stderr=True)


def connect(api: str) -> Client:
    """The client of a server, with the key of PETSEARCH_API_KEY if there is one.

    Not an option: other users of this machine see the arguments of its processes.
    """
    return Client(api, api_key=os.environ.get("PETSEARCH_API_KEY") or None)


def say(line: str) -> None:
    """A line for people, beside the output."""
    messages.print(line, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Machine output."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_table(headers: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, empty: str) -> None:
    """Rows as a table, or a line that says that there are none."""
    if not rows:
        output.print(empty)
        return
    table = Table(box=None, pad_edge=False)
    for header in headers:
        # An id that is cut off cannot be used.
        table.add_column(header, no_wrap=header in _IDS, overflow="fold")
    for row in rows:
        # Names come from strangers: they are text, not markup.
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    output.print(table)


def progress_bar() -> Progress:
    """A bar for a job; its tasks have a field `note`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=messages,
    )


def problems_of(client: Client, job: JsonDict) -> list[JsonDict]:
    """The items of a job that were refused or failed."""
    return [
        item
        for status in ("refused", "failed")
        if job["counts"][status]
        for item in client.job_items(job["job_id"], status)
    ]


def print_job(job: JsonDict, problems: list[JsonDict], skipped: int, *, as_json: bool) -> None:
    """What became of a job's photos, with a line for each that was refused or failed."""
    if as_json:
        print_json({"job": job, "problems": problems, "skipped": skipped})
        return
    counts = job["counts"]
    output.print(
        f"{job['total']} photos: {counts['ingested']} ingested, {counts['duplicate']} were here, "
        f"{counts['refused']} refused, {counts['failed']} failed "
        f"(job {job['job_id']}, {job['state'].replace('_', ' ')})",
        highlight=False,
        soft_wrap=True,
    )
    if job["reason"]:
        output.print(job["reason"], highlight=False, soft_wrap=True)
    if skipped:
        output.print(f"{skipped} other files are no photos by their names and were left out.")
    rows = [(item["filename"], item["status"], item["reason"] or "") for item in problems]
    if rows:
        print_table(("file", "", "reason"), rows, empty="")
