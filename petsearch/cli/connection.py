"""How commands connect to a server: the option `--api`, and the key in PETSEARCH_API_KEY."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from petsearch.client import Client

Api = Annotated[
    str | None,
    typer.Option(
        "--api", help="Address of the server; else PETSEARCH_API, else http://127.0.0.1:8000."
    ),
]


def address_of(api: str | None) -> str:
    """The address of a server as links have it; the first of several.

    Args:
        api: as in `connect`.
    """
    from petsearch.domain.addresses import without_password
    from petsearch.failover import split_addresses
    from petsearch.settings import read_command_line

    given = read_command_line().api if api is None else api
    return without_password(split_addresses(given)[0])


def connect(api: str | None) -> "Client":
    """The client of a server, with the key in PETSEARCH_API_KEY if it is set.

    The key is not an option, because other users of a machine can see the arguments of processes.

    Args:
        api: the server's address; None for the one that the environment names.
    """
    # Imported here: the client takes longer to import than `--help` to print.
    from petsearch.client import Client
    from petsearch.settings import read_command_line

    own = read_command_line()
    return Client(own.api if api is None else api, api_key=own.api_key.get_secret_value())
