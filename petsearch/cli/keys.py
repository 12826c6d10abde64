"""The commands under `petsearch keys`, which work without a server.

They change the Redis of PETSEARCH_REDIS_URL, or the data folder of a stopped `petsearch serve`;
a running server has the same operations at `/v1/keys`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from petsearch.access import KeyRing
from petsearch.app.services import open_keys
from petsearch.cli.output import (
    Json,
    data_folder,
    print_json,
    print_message,
    print_table,
    print_value,
)
from petsearch.cli.storage import offline_settings
from petsearch.domain import JsonDict
from petsearch.domain.api_keys import ApiKey, Scope, make_key
from petsearch.domain.errors import ConfigurationError, InvalidInput
from petsearch.settings import Settings

app = typer.Typer(
    help="Create, list and revoke API keys.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

DataDir = Annotated[
    Path | None,
    typer.Option(
        parser=data_folder,
        metavar="PATH",
        help="Data folder of a stopped `petsearch serve`; else PETSEARCH_REDIS_URL.",
    ),
]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Who or what the key is for.")],
    scope: Annotated[list[Scope], typer.Option(help="Repeat it for several scopes.")],
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, help="The key does not expire if this is not given.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin",  # typer would make --ORIGIN of this metavar
            metavar="ORIGIN",
            help="Bind the key to pages of this site, such as https://shelter.example: it may only "
            "search, from there; may be repeated.",
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Create a key and print it. It is shown only once, since only its hash is stored."""
    now = datetime.now(UTC)
    expires_at = _expiry(now, expires_in_days)
    new = make_key(name, scope, now, expires_at=expires_at, origins=origin or ())
    with _opened(data_dir) as keys:
        keys.add_first(new.kept)
    if as_json:
        print_json({"key": _as_json(new.kept), "secret": new.secret})
    else:
        print_value(new.secret)
        print_message(f"Key {new.kept.key_id} has: {_scopes(new.kept)}. It is not shown again.")
    if Settings.from_environment().allow_no_keys:
        print_message("PETSEARCH_ALLOW_NO_KEYS is set: a server that has it requires no keys.")


@app.command(name="list")
def list_keys(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List all keys, without their secrets."""
    with _opened(data_dir) as keys:
        found = keys.store.all()
    if as_json:
        print_json({"items": [_as_json(key) for key in found]})
        return
    now = datetime.now(UTC)
    rows = [(k.key_id, k.name, _scopes(k), _state(k, now), _hour(k.last_used_at)) for k in found]
    headers = ("key", "name", "scopes", "state", "last used")
    print_table(headers, rows, empty="There are no keys yet.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="As listed by `petsearch keys list`.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Revoke a key for good. Servers reject it within seconds."""
    with _opened(data_dir) as keys:
        keys.revoke(key_id)
    print_message(f"Key {key_id} is revoked.")


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[KeyRing]:
    if data_dir is not None and not data_dir.is_dir():
        raise ConfigurationError(
            f"There is no data folder {data_dir}. Name that of `petsearch serve`, "
            f"or make a new one with: mkdir {data_dir}"
        )
    with offline_settings(data_dir, "redis_url") as settings, open_keys(settings) as keys:
        yield keys


def _expiry(now: datetime, days: int | None) -> datetime | None:
    try:
        return None if days is None else now + timedelta(days=days)
    except OverflowError as error:
        raise InvalidInput(
            f"{days} days are too many; a key without them never expires."
        ) from error


def _scopes(key: ApiKey) -> str:
    scopes = ", ".join(sorted(key.scopes))
    return f"{scopes} from {', '.join(key.origins)}" if key.origins else scopes


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.is_valid(now):
        return "expired"
    return "valid" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d}"


def _hour(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H}h"


def _as_json(key: ApiKey) -> JsonDict:
    fields = {**asdict(key), "scopes": sorted(key.scopes)}
    del fields["secret_hash"]
    return fields
