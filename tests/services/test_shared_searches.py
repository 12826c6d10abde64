"""A search by photo is shared for a day: what is kept of it, who reads it, and how it ends."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import redis
from fastapi.testclient import TestClient
from PIL import Image

from petsearch.adapters.redis import RedisShares
from petsearch.adapters.redis.client import without_retries
from petsearch.app.services import build_services
from petsearch.domain import ImageMetadata, JsonDict, Point
from petsearch.domain.api_keys import Scope
from petsearch.domain.errors import Overloaded
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.jobs import Upload
from petsearch.ports import SharedSearch
from petsearch.search import Query, SearchOptions, SharedSearches, Weighted
from tests import pictures
from tests.contract.records import record
from tests.contract.tiny_clip import TinyClip
from tests.decoding import decoders
from tests.services.house import NEW, OLD, House, settings_in
from tests.services.keyed_app import START, Clock, KeyedApp

SHARES = "/v1/shared-searches"
ABSENT = "A" * 22
DAY = timedelta(hours=24)
WEB_DIR = Path(__file__).parents[2] / "web"
EVERYTHING_KEPT = {b"photo", b"embedding", b"model_id", b"expires_at", b"delete_hash"}


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[KeyedApp]:
    """Three photos are indexed, and the clock stands at `START`."""
    clock = Clock()
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    services = build_services(
        settings_in(tmp_path), embedder=embedder, decoders=decoders(), clock=clock
    )
    services.initialise()
    points = [
        Point(replace(record(n), model_id=OLD), np.array([np.cos(n), np.sin(n), 0, 0], np.float32))
        for n in range(3)
    ]
    services.images.writer.insert_everywhere(services.images.catalogue.collection(), points)
    yield KeyedApp(services, services.keys.store, clock)
    services.close()


@pytest.fixture
def api(keyed: KeyedApp) -> TestClient:
    """Somebody without a key, where everybody may search."""
    keyed.make_key(Scope.ADMIN)
    return keyed.client(keyed.app(anonymous_search=True))


def photo_form(data: bytes | None = None) -> dict[str, Any]:
    return {"photo": ("secret-name.jpg", data or pictures.jpeg_with_gps(7))}


def share(api: TestClient, data: bytes | None = None) -> JsonDict:
    answer = api.post(SHARES, files=photo_form(data))
    assert answer.status_code == 201, answer.text
    body: JsonDict = answer.json()
    return body


def raw(keyed: KeyedApp) -> redis.Redis:
    """A client that reads bytes as they are."""
    return without_retries(keyed.services.storage.redis, 10, decode_responses=False)


def statuses(api: TestClient, share_id: str) -> set[int]:
    """Of every way to read a shared search."""
    one = f"{SHARES}/{share_id}"
    asked = api.post("/v1/search", json={"shared": share_id})
    return {api.get(one).status_code, api.get(f"{one}/photo").status_code, asked.status_code}


def test_a_search_by_photo_keeps_nothing(keyed: KeyedApp, api: TestClient) -> None:
    before = set(raw(keyed).keys())
    assert api.post("/v1/search/image", files=photo_form()).status_code == 200
    assert set(raw(keyed).keys()) - before <= {b"petsearch:rate:address:192.0.2.7"}


def test_only_the_embedding_and_a_small_copy_without_metadata_are_kept(
    keyed: KeyedApp, api: TestClient
) -> None:
    exif = Image.Exif()
    exif[0x010E] = pictures.SECRET
    large = pictures.encoded(pictures.noise(1700, 900), exif=exif, comment=pictures.SECRET.encode())
    made = share(api, large)
    store = raw(keyed)
    found = store.hgetall(f"petsearch:shared:{made['share_id']}")
    fields = cast(dict[bytes, bytes], found)
    assert set(fields) == EVERYTHING_KEPT
    said = b"".join(fields.values())
    assert pictures.SECRET.encode() not in said and b"secret-name" not in said
    assert made["delete_token"].encode() not in said
    shown = api.get(made["photo"])
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.content == fields[b"photo"]
    with Image.open(io.BytesIO(shown.content)) as copy:
        assert (copy.format, max(copy.size)) == ("JPEG", 800)
        assert not copy.getexif() and "comment" not in copy.info


def test_a_copy_that_compresses_worst_is_small(api: TestClient) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (800, 800, 3), np.uint8)
    made = share(api, pictures.encoded(Image.fromarray(bits * 255), "PNG"))
    assert 500_000 < len(api.get(made["photo"]).content) < 700_000


def test_a_shared_search_finds_what_the_photo_finds(api: TestClient) -> None:
    data = pictures.jpeg(5)
    made = share(api, data)
    by_photo = api.post("/v1/search/image", files=photo_form(data)).json()
    shared = api.post("/v1/search", json={"shared": made["share_id"]}).json()
    assert [(hit["image_id"], hit["score"]) for hit in shared["items"]] == [
        (hit["image_id"], hit["score"]) for hit in by_photo["items"]
    ]
    assert len(shared["items"]) == 3
    words = {"shared": made["share_id"], "text": "pet", "limit": 1}
    first = api.post("/v1/search", json=words).json()
    second = api.post("/v1/search", json={**words, "cursor": first["next_cursor"]}).json()
    assert first["items"][0]["image_id"] != second["items"][0]["image_id"]


def test_no_search_engine_and_no_cache_keeps_it(keyed: KeyedApp) -> None:
    api = keyed.client(keyed.app(allow_no_keys=True, web_dir=WEB_DIR))
    answer = api.post(SHARES, files=photo_form())
    one = f"{SHARES}/{answer.json()['share_id']}"
    for found in (answer, api.get(one), api.get(f"{one}/photo")):
        assert found.headers["X-Robots-Tag"] == "noindex"
        assert found.headers["Cache-Control"] == "no-store"
    page = api.get(answer.json()["url"])
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert "og:image" not in page.text and "twitter:image" not in page.text
    assert "X-Robots-Tag" not in api.get("/").headers


def test_it_ends_after_a_day_by_the_clock_and_by_redis_itself(
    keyed: KeyedApp, api: TestClient
) -> None:
    made = share(api)
    assert made["expires_at"] == (START + DAY).isoformat().replace("+00:00", "Z")
    store = raw(keyed)
    names = list(store.scan_iter("petsearch:shared*"))
    assert len(names) == 3, "itself, and its name among its caller's and among all"
    for name in names:
        assert DAY - timedelta(minutes=5) < timedelta(milliseconds=store.pttl(name)) <= DAY
    keyed.clock.now = START + DAY - timedelta(seconds=1)
    assert statuses(api, made["share_id"]) == {200}
    keyed.clock.now = START + DAY
    assert statuses(api, made["share_id"]) == {404}


def test_its_token_or_an_administrator_deletes_it(keyed: KeyedApp, api: TestClient) -> None:
    made, other = share(api), share(api)
    assert len({made["share_id"], other["share_id"]}) == 2
    one = f"{SHARES}/{made['share_id']}"
    key = keyed.make_key(Scope.SEARCH, Scope.DELETE)
    for caller in (api, keyed.client(keyed.app(), key)):
        for query in ("", "?token=wrong", f"?token={other['delete_token']}"):
            assert caller.delete(f"{one}{query}").status_code == 403
    assert statuses(api, made["share_id"]) == {200}
    assert api.delete(f"{one}?token={made['delete_token']}").status_code == 204
    assert statuses(api, made["share_id"]) == {404}
    assert api.delete(f"{one}?token={made['delete_token']}").status_code == 404
    admin = keyed.client(keyed.app(), keyed.make_key(Scope.ADMIN))
    assert admin.delete(f"{SHARES}/{other['share_id']}").status_code == 204
    assert admin.delete(f"{SHARES}/{other['share_id']}").status_code == 404
    left = raw(keyed).keys("petsearch:shared:*")
    assert left == []


def test_a_caller_shares_twenty_at_a_time(keyed: KeyedApp, api: TestClient) -> None:
    made = [share(api) for _ in range(20)]
    refused = api.post(SHARES, files=photo_form())
    assert refused.status_code == 429
    assert DAY.total_seconds() - 300 < int(refused.headers["Retry-After"]) <= DAY.total_seconds()
    assert "at most 20 of one caller" in refused.json()["detail"]
    key = keyed.make_key(Scope.SEARCH)
    app = keyed.app(anonymous_search=True)
    share(keyed.client(app, address="192.0.2.8"))
    share(keyed.client(app, key))
    api.delete(f"{SHARES}/{made[3]['share_id']}?token={made[3]['delete_token']}")
    share(api)


def test_all_callers_together_share_so_many(keyed: KeyedApp) -> None:
    store = RedisShares(raw(keyed), of_all=2)
    kept = SharedSearch(b"jpeg", np.ones(4, np.float32), "tiny", START, "hash")
    for number in range(2):
        store.add(f"share-{number}", kept, f"caller-{number}", 60)
    with pytest.raises(Overloaded, match="2 in all") as refused:
        store.add("share-2", kept, "caller-2", 60)
    assert 0 < refused.value.retry_after_s <= 60
    assert store.get("share-2") is None
    assert store.delete("share-0")
    store.add("share-2", kept, "caller-2", 60)
    found = store.get("share-2")
    assert found is not None
    assert found.embedding.dtype == np.float32 and (found.embedding == kept.embedding).all()
    assert replace(found, embedding=kept.embedding).__dict__ == kept.__dict__


def test_a_page_of_another_site_neither_shares_nor_deletes(api: TestClient) -> None:
    evil = {"Origin": "https://evil.example"}
    assert api.post(SHARES, files=photo_form(), headers=evil).status_code == 403
    made = share(api)
    address = f"{SHARES}/{made['share_id']}?token={made['delete_token']}"
    assert api.delete(address, headers=evil).status_code == 403
    assert api.post("/v1/search", json={"text": "pet"}, headers=evil).status_code == 200


def test_what_is_no_shared_search(api: TestClient) -> None:
    assert api.post(SHARES, files=photo_form(pictures.HTML)).status_code == 422
    for name in (ABSENT, "x", "%F0%9F%90%B1", ABSENT + "A"):
        assert api.get(f"{SHARES}/{name}").status_code == 404
        assert api.delete(f"{SHARES}/{name}?token=x").status_code == 404
    for name in (ABSENT, "x", "\N{CAT FACE}"):
        assert api.post("/v1/search", json={"shared": name}).status_code == 404
    lone = b'{"shared": "\\ud800"}'
    headers = {"Content-Type": "application/json"}
    assert api.post("/v1/search", content=lone, headers=headers).status_code in (404, 422)
    query = {"query": f'{{"shared": "{ABSENT}"}}'}
    both = api.post("/v1/search/image", files=photo_form(), data=query)
    assert (both.status_code, "give one of them" in both.json()["detail"]) == (422, True)


def test_with_another_model_the_copy_is_embedded_again(house: House) -> None:
    house.ingest(*(Upload(pictures.jpeg(n), ImageMetadata()) for n in range(2)))
    made = house.services.shared.share(pictures.jpeg(1), "caller")
    house.reindex()
    house.changes.promote(NEW)
    query = Query((Weighted(house.services.shared.photo(made.share_id)),))
    assert house.services.shared.get(made.share_id).model_id == OLD
    found = house.services.search.by_query(query, SearchOptions())
    assert (found.model_id, len(found.hits)) == (NEW, 2)


def test_without_redis_it_is_unavailable(keyed: KeyedApp, tmp_path: Path) -> None:
    services = keyed.services
    gone = redis.Redis(unix_socket_path=str(tmp_path / "none.sock"))
    shared = SharedSearches(
        embedder=services.parts.embedder,
        catalogue=services.parts.catalogue,
        decoders=services.query_decoders,
        store=RedisShares(gone),
        clock=keyed.clock,
    )
    keyed.services = replace(services, shared=shared)
    api = keyed.client(keyed.app(allow_no_keys=True))
    answers = [
        api.post(SHARES, files=photo_form()),
        api.get(f"{SHARES}/{ABSENT}"),
        api.post("/v1/search", json={"shared": ABSENT}),
        api.delete(f"{SHARES}/{ABSENT}?token=x"),
    ]
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert "shared searches" in answer.json()["detail"]
        assert answer.headers["Retry-After"]
    assert api.post("/v1/search", json={"text": "pet"}).status_code == 200
    gone.close()
