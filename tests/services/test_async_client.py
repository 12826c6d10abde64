"""The asynchronous client does what the synchronous one does, and is made from it."""

import inspect

import pytest

from devstack.addresses import free_port
from petsearch.client import AsyncClient, Client, Photo
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.domain.errors import ConfigurationError, NotFound, Unavailable
from tests import pictures
from tests.coroutines import run
from tests.tools import async_client

JPEG = pictures.jpeg(84_001)
IMAGE_ID = image_id_of(sha256_of(JPEG))


def test_it_is_the_translation_of_the_synchronous_one() -> None:
    translated = async_client.translate(async_client.SOURCE.read_text())
    assert async_client.TARGET.read_text() == translated, "run `make async-client`"


def test_both_offer_the_same() -> None:
    def offered(client: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert offered(AsyncClient) == offered(Client)
    assert len(offered(Client)) > 30


def test_it_uploads_watches_searches_changes_and_deletes(server_url: str) -> None:
    run(_main_job(server_url))


async def _main_job(server_url: str) -> None:
    async with AsyncClient(server_url) as client:
        job_id = (await client.open_job("asynchronous"))["job_id"]
        await client.add_photos(job_id, [Photo("a.jpg", JPEG, {"animal_id": "asynchronous-1"})])
        await client.seal_job(job_id)
        states: list[JsonDict] = [job async for job in client.watch_job(job_id)]
        assert states[-1]["state"] == "succeeded"
        (item,) = [item async for item in client.job_items(job_id)]
        assert item["image_id"] == IMAGE_ID
        found = await client.search_photo(JPEG, animal_id="asynchronous-1")
        assert [hit["image_id"] for hit in found["items"]] == [IMAGE_ID]
        assert (await client.change_image(IMAGE_ID, {"status": "found"}))["status"] == "found"
        assert await client.delete_images_of_animal("asynchronous-1") == 1
        with pytest.raises(NotFound):
            await client.image(IMAGE_ID)
        with pytest.raises(NotFound):
            [job async for job in client.watch_job("no-such-job")]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    async def ask() -> None:
        async with AsyncClient(f"http://127.0.0.1:{free_port()}") as client:
            await client.stats()

    with pytest.raises(Unavailable, match="petsearch serve"):
        run(ask())


def test_several_addresses_are_an_error() -> None:
    with pytest.raises(ConfigurationError, match="one server"):
        AsyncClient("http://a:8000,http://b:8000")
