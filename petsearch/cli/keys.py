"""The commands under `petsearch keys`: make, list and revoke API keys, without a server.

They work on the Redis of PETSEARCH_REDIS_URL, or on the data folder of a stopped `petsearch serve`;
a server that runs has the same at `/v1/keys`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from petsearch.access import KeyRing
from petsearch.cli.output import Json, output, print_json, print_table, say
from petsearch.domain import JsonDict
from petsearch.domain.api_keys import ApiKey, Scope, make_key
from petsearch.domain.errors import ConfigurationError, InvalidInput
from petsearch.settings import Settings

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)

DataDir = Annotated[
    Path | None, typer.Option(help="Of a stopped `serve`; else PETSEARCH_REDIS_URL says where.")
]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="Who or what it is for.")],
    scope: Annotated[list[Scope], typer.Option(help="Several times for several scopes.")],
    expires_in_days: Annotated[int | None, typer.Option(min=1, help="Never, if not given.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a key and print it. It is shown this once: only a hash of it is kept."""
    now = datetime.now(UTC)
    expires_at = _later(now, expires_in_days)
    made = make_key(name, scope, now, expires_at=expires_at)
    with _opened(data_dir) as keys:
        keys.add(made.kept)
    if as_json:
        print_json({"key": _as_json(made.kept), "secret": made.secret})
    else:
        output.print(made.secret, highlight=False, soft_wrap=True)
        say(f"Key {made.kept.key_id} may: {_scopes(made.kept)}. It is not shown again.")
    if Settings.from_environment().allow_no_keys:
        say("PETSEARCH_ALLOW_NO_KEYS is set here: a server with it asks nobody for a key.")


@app.command(name="list")
def list_keys(*, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Every key ever made, without its secret."""
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
    key_id: Annotated[str, typer.Argument(help="As `petsearch keys list` shows it.")],
    *,
    data_dir: DataDir = None,
) -> None:
    """Make a key invalid for ever. Servers refuse it within seconds."""
    with _opened(data_dir) as keys:
        keys.revoke(key_id)
    say(f"Key {key_id} is revoked.")


@contextmanager
def _opened(data_dir: Path | None) -> Iterator[KeyRing]:
    # Not above: a client's installation has no Redis library, and other commands start sooner.
    from petsearch.app.services import open_keys

    if data_dir is None:
        settings = Settings.from_environment()
        if not settings.redis_url:
            raise ConfigurationError(
                "Say where the keys are: --data-dir of a single-process server that is stopped, "
                "or PETSEARCH_REDIS_URL."
            )
        with open_keys(settings) as keys:
            yield keys
        return
    # Not above either: a worker's image has no web server.
    from petsearch.standalone import StandaloneOptions, locked, standalone_settings

    with locked(data_dir), open_keys(standalone_settings(StandaloneOptions(data_dir, ""))) as keys:
        yield keys


def _later(now: datetime, days: int | None) -> datetime | None:
    try:
        return None if days is None else now + timedelta(days=days)
    except OverflowError as error:
        raise InvalidInput(f"{days} days are too many; leave it out for a key for ever.") from error


def _scopes(key: ApiKey) -> str:
    return ", ".join(sorted(key.scopes))


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.is_valid(now):
        return "expired"
    return "valid" if key.expires_at is None else f"until {key.expires_at:%Y-%m-%d}"


def _hour(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H}h"


def _as_json(key: ApiKey) -> JsonDict:
    times = {
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
    return {
        "key_id": key.key_id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        **{name: None if at is None else at.isoformat() for name, at in times.items()},
    }
