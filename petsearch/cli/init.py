"""The command `petsearch init`."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Annotated

import typer

from petsearch.app.services import build_services
from petsearch.cli.output import print_message
from petsearch.domain.errors import Conflict, Unavailable
from petsearch.models import Target
from petsearch.settings import Settings

_PAUSE_S = 1.0


def init(
    *,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for servers that do not answer yet.")
    ] = 60.0,
) -> None:
    """Create the bucket and the first collection of PETSEARCH_…_URL if they are missing."""
    target = initialise(Settings.from_environment(), patience_s=patience, report=print_message)
    if target is not None:
        print_message(f"Ready: collection {target.collection}, model {target.model.model_id}.")


def initialise(
    settings: Settings, *, patience_s: float, report: Callable[[str], None]
) -> Target | None:
    """Create what a new deployment lacks; what exists is kept. Workers do the same at start.

    None if there is a collection and the embedder has not loaded its model. That is reported, but
    no failure: loading that model may depend on this command to succeed.

    Args:
        patience_s: how long to wait for servers that do not answer yet.

    Raises:
        ConfigurationError: an address is missing or invalid.
        Unavailable: a server did not answer in time.
    """
    deadline, reported = time.monotonic() + patience_s, ""
    while True:
        try:
            with closing(build_services(settings)) as services:
                return services.initialise()
        except Unavailable as error:
            if time.monotonic() + _PAUSE_S > deadline:
                raise
            if error.detail != reported:
                reported = error.detail
                report(f"Waiting: {reported}")
        except Conflict as error:
            report(error.detail)
            return None
        time.sleep(_PAUSE_S)
