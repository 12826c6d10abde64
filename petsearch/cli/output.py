"""What commands print, and the options they share.

All text goes through here: names of files come from outside, so it is printed as it is, never as
Rich markup, and control characters are escaped. With PETSEARCH_LOG_JSON=1, every line that no
terminal shows is a JSON object.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

# Rich is imported when something is printed: `--help` starts without it.
if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task

EXIT_ERROR = 1
EXIT_PARTLY = 3
"""The command finished, but some photos were rejected or failed."""


def data_folder(given: str) -> Path:
    """The parser of options that name a folder: an empty one would be the current folder."""
    if not given.strip():
        raise typer.BadParameter("it is empty; give the path of a folder, or . for this one")
    return Path(given)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_IDS = {"image_id", "image", "job", "key", "model"}
_PIPE_WIDTH = 1000
"""Rich assumes 80 columns for files and pipes."""
_ESCAPED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but the line feed, overrides of the writing direction, half characters."""


@cache
def _stdout() -> "Console":
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


@cache
def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def _says_json(*, err: bool) -> bool:
    """Whether what is printed to stdout, or to stderr, is read by a program as JSON lines."""
    from petsearch.settings import says_json

    return says_json() and not (_stderr() if err else _stdout()).is_terminal


def _print_text(text: str, *, event: str, err: bool) -> None:
    if _says_json(err=err):
        now = datetime.now(UTC).isoformat()
        typer.echo(json.dumps({"event": event, "text": text, "timestamp": now}), err=err)
    else:
        (_stderr() if err else _stdout()).print(printable(text), soft_wrap=True)


def printable(text: str) -> str:
    """The text with escapes such as `\\x1b` in place of what a terminal would act on."""
    return _ESCAPED.sub(lambda found: ascii(found[0])[1:-1], text)


def is_terminal() -> bool:
    """Whether stdout is read by a person."""
    return _stdout().is_terminal


def print_line(line: str) -> None:
    """Print a line of the command's output to stdout."""
    _print_text(line, event="result", err=False)


def print_value(word: str) -> None:
    """Print a word to stdout as it is, for scripts that take it."""
    typer.echo(printable(word))


def print_picture(sequence: str) -> None:
    """Print what makes a terminal show a picture; the only escape sequences that are not escaped.

    Args:
        sequence: made by `petsearch.cli.photos.thumbnails`.
    """
    typer.echo(sequence)


def print_message(line: str) -> None:
    """Print a message to stderr."""
    _print_text(line, event="message", err=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on stderr whether to go on, unless `yes`.

    Raises:
        Abort: the answer is not yes, or there is nobody to ask.
    """
    if not yes:
        typer.confirm(printable(question).replace("\n", r"\n"), abort=True, err=True)


def print_progress(line: str) -> None:
    """Print progress to stderr where no progress bar shows it, as in a log file."""
    if not _stderr().is_terminal:
        _print_text(line, event="progress", err=True)


def print_error(detail: str) -> None:
    """Print an error to stderr."""
    if _says_json(err=True):
        _print_text(detail, event="error", err=True)
        return
    from rich.text import Text

    _stderr().print(Text.assemble(("Error:", "red"), f" {printable(detail)}"), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON to stdout; times are written as ISO 8601."""
    indent = None if _says_json(err=False) else 2
    typer.echo(json.dumps(value, indent=indent, default=datetime.isoformat))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """Print rows as a table to stdout, or the line `empty` if there are none."""
    if not rows:
        if empty:
            print_line(empty)
        return
    if _says_json(err=False):
        for row in rows:
            typer.echo(json.dumps(dict(zip(headers, row, strict=True))))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for header in headers:
        # An id that is cut off cannot be used.
        table.add_column(header, no_wrap=header in _IDS, overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell).replace("\n", r"\n") for cell in row))
    _stdout().print(table)


def progress_bar() -> "Progress":
    """A progress bar on stderr; the field `note` of a task is shown behind its count."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class PlainColumn(ProgressColumn):
        """A column of text that is not parsed as markup, unlike Rich's `TextColumn`."""

        def __init__(self, text_of: Callable[["Task"], str]) -> None:
            super().__init__()
            self._text_of = text_of

        def render(self, task: "Task") -> Text:
            return Text(printable(self._text_of(task)))

    return Progress(
        PlainColumn(lambda task: task.description),
        BarColumn(),
        MofNCompleteColumn(),
        PlainColumn(lambda task: task.fields.get("note", "")),
        TimeRemainingColumn(),
        console=_stderr(),
        disable=_says_json(err=True),
    )
