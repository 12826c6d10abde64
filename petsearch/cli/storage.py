"""Opens what commands without a server work on: a stopped server's data folder, or the servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from petsearch.app.services import Storage, open_storage
from petsearch.cli.output import data_folder
from petsearch.domain.errors import ConfigurationError
from petsearch.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option(
        parser=data_folder,
        metavar="PATH",
        help="Data folder of a stopped `petsearch serve`; else PETSEARCH_…_URL are used.",
    ),
]


@contextmanager
def offline_settings(data_dir: Path | None, *needed: str) -> Iterator[Settings]:
    """Settings for a stopped server's data folder, locked meanwhile, or the environment's.

    Args:
        needed: settings that the environment has to name if there is no `data_dir`.

    Raises:
        ConfigurationError: the folder is in use, or a needed setting is missing.
    """
    if data_dir is not None:
        # Imported here, because a worker's image has no web server.
        from petsearch.standalone import StandaloneOptions, locked, standalone_settings

        with locked(data_dir):
            yield standalone_settings(StandaloneOptions(data_dir, model=""))
        return
    settings = Settings.from_environment()
    if not all(getattr(settings, name) for name in needed):
        variables = ", ".join(f"PETSEARCH_{name.upper()}" for name in needed)
        raise ConfigurationError(
            f"Give --data-dir, the folder of a stopped `petsearch serve`, or set {variables}."
        )
    yield settings


@contextmanager
def opened_storage(data_dir: Path | None, *, may_be_new: bool = False) -> Iterator[Storage]:
    """Index, object store and job ledger.

    Args:
        data_dir: of a stopped single-process server; None for what the environment names.
        may_be_new: create the data folder if it is missing.

    Raises:
        ConfigurationError: the folder is in use or not a data folder, or an address is missing.
        Unavailable: a server does not answer.
    """
    if data_dir is not None and not may_be_new and not (data_dir / "index").is_dir():
        raise ConfigurationError(f"{data_dir} is not a data folder of petsearch.")
    with (
        offline_settings(data_dir, "index_url", "store_url", "redis_url") as settings,
        open_storage(settings) as storage,
    ):
        yield storage
