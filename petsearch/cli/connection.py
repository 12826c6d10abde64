"""How commands connect to a server: the option `--api`, and the key in PETSEARCH_API_KEY."""

import os
from typing import Annotated

import typer

from petsearch.client import Client

DEFAULT_API = "http://127.0.0.1:8000"
Api = Annotated[str, typer.Option("--api", envvar="PETSEARCH_API", help="Address of the server.")]


def connect(api: str) -> Client:
    """The client of a server, with the key in PETSEARCH_API_KEY if it is set.

    The key is not an option, because other users of a machine can see the arguments of processes.
    """
    return Client(api, api_key=os.environ.get("PETSEARCH_API_KEY"))
