"""Bodies: each route takes the largest that makes sense, and no more."""

import json
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from petsearch.domain import JsonDict
from petsearch.domain.api_keys import Scope
from services.api.authorisation import ROUTES
from services.api.bodies import JSON_BYTES, MULTIPART, QUERY_PHOTOS
from tests import pictures
from tests.services.keyed_app import KeyedApp, keyed_app

TOO_LARGE = 413
IMAGE = "00000000-0000-4000-8000-000000000000"
TEXT = "x" * 200
METADATA: JsonDict = {
    **dict.fromkeys(("filename", "breed", "species", "animal_id", "status"), TEXT),
    "tags": [f"{n:03}{TEXT[3:]}" for n in range(50)],
    "attributes": {f"{n:03}{TEXT[3:]}": TEXT for n in range(50)},
    "taken_at": "2026-05-17T10:00:00Z",
    "location": {"lat": 52.5, "lon": 13.4},
}
WRITES = [name for name in ROUTES if name.split()[0] in ("POST", "PATCH", "DELETE")]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.fixture(scope="module")
def admin(keyed: KeyedApp) -> TestClient:
    return keyed.client(keyed.app(), keyed.make_key(Scope.ADMIN))


def path_of(route: str) -> str:
    path = route.split()[1].replace("{image_id}", IMAGE)
    return path.format(job_id="none", key_id="none", model_id="none", share_id="none")


@pytest.mark.parametrize("route", WRITES)
def test_json_over_the_limit_of_its_route_is_refused(admin: TestClient, route: str) -> None:
    most = JSON_BYTES.get(route, 4096)
    body = b'{"junk": "' + b"x" * most + b'"}'
    headers = {"Content-Type": "application/json"}
    answer = admin.request(route.split()[0], path_of(route), content=body, headers=headers)
    assert answer.status_code == TOO_LARGE, answer.text
    in_parts = admin.request(
        route.split()[0], path_of(route), content=iter([body[:1000], body[1000:]]), headers=headers
    )
    assert in_parts.status_code in (TOO_LARGE, 422), "a form does not read JSON at all"


def test_the_largest_that_makes_sense_is_taken(admin: TestClient) -> None:
    ascii_and_not = (METADATA, {**METADATA, "breed": "\u732b" * 200})
    for metadata in ascii_and_not:
        changed = {name: value for name, value in metadata.items() if name != "filename"}
        headers = {"Content-Type": "application/merge-patch+json"}
        patch = json.dumps(changed).encode()
        answer = admin.patch(f"/v1/images/{IMAGE}", content=patch, headers=headers)
        assert answer.status_code == 404, "there is no such image, which is known after the body"
    job_id = admin.post("/v1/jobs", json={}).json()["job_id"]
    known = {"items": [{"sha256": "0" * 64, "metadata": METADATA}] * 64}
    assert admin.post(f"/v1/jobs/{job_id}/known", json=known).status_code == 200
    urls = [f"https://photos.example/{n:06}/{TEXT[:150]}.jpg" for n in range(10_000)]
    listed = admin.post("/v1/jobs", json={"source": {"type": "urls", "urls": urls}})
    assert listed.status_code != TOO_LARGE
    search = {"text": "x" * 1000, "negative": [{"text": TEXT}] * 4, "filters": {"tags": [TEXT] * 9}}
    assert admin.post("/v1/search", json=search).status_code == 200


@pytest.mark.parametrize("route", sorted(MULTIPART | QUERY_PHOTOS))
def test_a_form_without_files_is_small(admin: TestClient, route: str) -> None:
    encoded = {"Content-Type": "application/x-www-form-urlencoded"}
    large = b"metadata=" + b"x" * 10_000
    assert admin.post(path_of(route), content=large, headers=encoded).status_code == TOO_LARGE
    fields = {f"field{n}": "x" for n in range(100)}
    photo = {"photo": ("cat.jpg", pictures.jpeg(1), "image/jpeg")}
    assert admin.post(path_of(route), data=fields, files=photo).status_code in (400, 422)
    one = admin.post(path_of(route), data={"metadata": "x" * 600_000}, files=photo)
    assert one.status_code in (400, 422)


def test_an_error_names_ten_mistakes_at_most(admin: TestClient) -> None:
    entries = [{"sha256": "no digest"}] * 64
    job_id = admin.post("/v1/jobs", json={}).json()["job_id"]
    refused = admin.post(f"/v1/jobs/{job_id}/known", json={"items": entries})
    assert refused.status_code == 422
    assert refused.json()["detail"].count("; ") < 10
