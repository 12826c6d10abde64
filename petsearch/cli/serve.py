"""The command `petsearch serve`."""

from pathlib import Path
from typing import Annotated

import typer

from petsearch.cli.output import data_folder, print_message


def serve(
    *,
    data_dir: Annotated[
        Path, typer.Option(parser=data_folder, metavar="PATH", help="Folder that holds all data.")
    ],
    model: Annotated[
        str, typer.Option(help="hub:<arch>/<tag>, dir:<open_clip folder> or sample.")
    ] = "",
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8000,
) -> None:
    """Serve API, page, worker, model and index from one process."""
    from petsearch import standalone

    standalone.serve(
        standalone.StandaloneOptions(data_dir, model, host.strip("[]"), port),
        on_ready=lambda _, address: print_message(f"petsearch is ready: {address}"),
    )
