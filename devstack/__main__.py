"""`make stack`: the distributed shape as processes of this machine, without Docker."""

import sys
import threading
from itertools import cycle
from typing import Annotated

import typer

from devstack.launcher import Shape, run_stack
from petsearch.domain.errors import PetsearchError

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green")
_WIDTH = 10


class Lines:
    """Prints lines of many threads, each after the coloured name of its process."""

    def __init__(self) -> None:
        self._printing = threading.Lock()
        self._next_colour = cycle(_COLOURS)
        self._colours = {"stack": "bright_white"}

    def tell(self, name: str, line: str) -> None:
        """Print one line. Colours only on a terminal."""
        with self._printing:
            if (colour := self._colours.get(name)) is None:
                colour = self._colours[name] = next(self._next_colour)
            typer.echo(f"{typer.style(f'{name:{_WIDTH}} |', fg=colour)} {line}")
            sys.stdout.flush()


def main(
    *,
    apis: Annotated[int, typer.Option(min=1)] = 1,
    embedders: Annotated[int, typer.Option(min=1)] = 1,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    port: Annotated[int, typer.Option(help="Of the first API; 0 takes free ones.")] = 8000,
) -> None:
    """Start API, worker and embedder as processes, and the servers that no address is set for.

    PETSEARCH_REDIS_URL, PETSEARCH_STORE_URL, PETSEARCH_INDEX_URL and PETSEARCH_EMBEDDER_URL name
    real ones; what is not set is started here.
    """
    lines = Lines()
    try:
        run_stack(Shape(apis, embedders, workers, port), lines.tell)
    except PetsearchError as error:
        lines.tell("stack", f"Error: {error.detail}")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
