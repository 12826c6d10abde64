"""What the client makes of ids, of addresses, and of programs that are not petsearch."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from petsearch.client import AsyncClient, Client
from petsearch.domain.errors import ConfigurationError, InvalidInput, Unavailable
from tests.coroutines import run

ODD = ["", ".", "..", "../keys", "../images?animal_id=D-2", "a/b", "a#b", "a\x00", "%2e%2e", "a b"]
CALLS: list[Callable[[Any, str], Any]] = [
    lambda client, name: client.image(name),
    lambda client, name: client.delete_image(name),
    lambda client, name: client.delete_job(name),
    lambda client, name: client.job(name),
    lambda client, name: client.revoke_key(name),
    lambda client, name: client.promote(name),
]


def refuse(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was asked for")


@pytest.mark.parametrize("name", ODD)
def test_an_id_is_one_part_of_a_path(name: str) -> None:
    with Client("http://petsearch.test", transport=httpx.MockTransport(refuse)) as client:
        for call in CALLS:
            with pytest.raises(InvalidInput, match="is no id"):
                call(client, name)


def test_the_asynchronous_client_is_as_strict() -> None:
    async def ask() -> None:
        transport = httpx.MockTransport(refuse)
        async with AsyncClient("http://petsearch.test", transport=transport) as client:
            await client.image("../keys")

    with pytest.raises(InvalidInput, match="is no id"):
        run(ask())


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:abc",
        "http://[::1",
        "http://no..host",
        "http://host:99999",
        "http://host/?photo=abc",
        "http://",
        "ftp://host",
    ],
)
def test_an_address_that_is_none_is_named(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address"):
        Client(address)


@pytest.mark.parametrize("body", ["<html>", "null", "[]", '"text"'])
def test_another_program_is_told_from_petsearch(body: str) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    with (
        Client("http://other.test", transport=transport) as client,
        pytest.raises(Unavailable, match="not petsearch's API"),
    ):
        client.stats()
