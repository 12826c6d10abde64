"""What commands print, and the options they share.

All text goes through here: names of files come from outside, so it is printed as it is, never as
Rich markup, and control characters are escaped.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from petsearch.observability import configure_logging
from petsearch.settings import Settings

EXIT_ERROR = 1
EXIT_PARTLY = 3
"""The command finished, but some photos were rejected or failed."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_IDS = {"image_id", "image", "job", "key", "model"}
_PIPE_WIDTH = 1000
"""Rich assumes 80 columns for files and pipes."""
_ESCAPED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but the line feed, overrides of the writing direction, half characters."""

_stdout = Console(
    width=None if sys.stdout.isatty() else _PIPE_WIDTH, markup=False, emoji=False, highlight=False
)
_stderr = Console(stderr=True, markup=False, emoji=False, highlight=False)


def log_to_stderr(default_level: str | None = None) -> None:
    """Configure logging from the settings.

    Args:
        default_level: used where PETSEARCH_LOG_LEVEL is not set.
    """
    settings = Settings.from_environment()
    level = settings.log_level
    if default_level is not None and "log_level" not in settings.model_fields_set:
        level = default_level
    configure_logging(level=level, json=settings.log_json)


def printable(text: str) -> str:
    """The text with escapes such as `\\x1b` in place of what a terminal would act on."""
    return _ESCAPED.sub(lambda found: ascii(found[0])[1:-1], text)


def print_line(line: str) -> None:
    """Print a line of the command's output to stdout."""
    _stdout.print(printable(line), soft_wrap=True)


def print_message(line: str) -> None:
    """Print a message for people to stderr."""
    _stderr.print(printable(line), soft_wrap=True)


def print_progress(line: str) -> None:
    """Print progress to stderr where no progress bar shows it, as in a log file."""
    if not _stderr.is_terminal:
        print_message(line)


def print_error(detail: str) -> None:
    """Print an error to stderr."""
    _stderr.print(Text.assemble(("Error:", "red"), f" {printable(detail)}"), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON to stdout; times are written as ISO 8601."""
    typer.echo(json.dumps(value, indent=2, default=datetime.isoformat))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """Print rows as a table to stdout, or the line `empty` if there are none."""
    if not rows:
        if empty:
            print_line(empty)
        return
    table = Table(box=None, pad_edge=False)
    for header in headers:
        # An id that is cut off cannot be used.
        table.add_column(header, no_wrap=header in _IDS, overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell).replace("\n", r"\n") for cell in row))
    _stdout.print(table)


class _PlainColumn(ProgressColumn):
    """A column of text that is not parsed as markup, unlike Rich's `TextColumn`."""

    def __init__(self, text_of: Callable[[Task], str]) -> None:
        super().__init__()
        self._text_of = text_of

    def render(self, task: Task) -> Text:
        """The text for a task."""
        return Text(printable(self._text_of(task)))


def progress_bar() -> Progress:
    """A progress bar on stderr; the field `note` of a task is shown behind its count."""
    return Progress(
        _PlainColumn(lambda task: task.description),
        BarColumn(),
        MofNCompleteColumn(),
        _PlainColumn(lambda task: task.fields.get("note", "")),
        TimeRemainingColumn(),
        console=_stderr,
    )
