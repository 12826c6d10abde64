"""Odd text, numbers and times: refused or taken, never a failure of the server."""

import json

import httpx
import pytest

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import image_id_of, sha256_of
from tests import pictures

ODD_TEXTS = {
    "NUL": "a\x00b",
    "control": "a\x1bb\x7f",
    "separators": "a\u2028b\u2029",
    "right to left": "\u202egod",
    "joined": "👩‍👩‍👧‍👦 e\u0301",
    "beyond the plane": "\U0010ffff\U0001f408",
    "no character": "\ufffe\uffff",
    "long": "x" * 201,
    "blank": " \t\u00a0",
    "template": "{} {0} %s {{x}}",
    "wild": '*?[]"\\',
}
odd_text = pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)


def raw_json(http: httpx.Client, path: str, body: str) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return http.post(path, content=body.encode("utf-8", "surrogatepass"), headers=headers)


@odd_text
def test_odd_text_in_parameters(http: httpx.Client, text: str) -> None:
    for path, name in [
        ("/v1/search", "q"),
        ("/v1/images", "breed"),
        ("/v1/images", "animal_id"),
        ("/v1/images", "tag"),
        ("/v1/images", "attr"),
        ("/v1/images", "cursor"),
        ("/v1/facets?by=tag", "status"),
        ("/search", "prompt"),
        ("/v1/search?q=cat", text),
        ("/v1/duplicates?tier=exact", "cursor"),
    ]:
        url = httpx.URL(path)
        answer = http.get(url.copy_merge_params({name: f"a={text}" if name == "attr" else text}))
        assert answer.status_code in (200, 409, 422), (path, name, answer.text)


@odd_text
def test_odd_text_in_paths(http: httpx.Client, text: str) -> None:
    for before, after in [
        ("/images/", ""),
        ("/v1/jobs/", ""),
        ("/v1/jobs/", "/items"),
        ("/v1/images/", "/display"),
        ("/", ""),
    ]:
        path = before + "".join(f"%{byte:02x}" for byte in text.encode()) + after
        assert http.get(path).status_code in (404, 422), path


@odd_text
def test_odd_text_in_bodies(http: httpx.Client, text: str) -> None:
    for path, body in [
        ("/v1/search", {"text": text}),
        ("/v1/search", {"text": "cat", "filters": {"breed": text, "attributes": {text: text}}}),
        ("/v1/jobs", {"source": text}),
        ("/v1/jobs", {"source": {"type": "archive", "path": f"/{text}"}}),
        ("/v1/jobs", {"source": {"type": "manifest", "key": f"imports/{text}"}}),
        ("/v1/jobs", {"source": {"type": "s3", "bucket": text}}),
        ("/v1/jobs", {"source": {"type": "dataset", "name": f"/{text}"}}),
        ("/v1/jobs", {text: text}),
    ]:
        answer = raw_json(http, path, json.dumps(body))
        assert answer.status_code in (200, 202, 404, 422), (path, answer.text)


@pytest.mark.parametrize("half", [r"\ud800", r"a\udc00b", r"\ud83d\ud83d"])
def test_halves_of_characters_are_refused(http: httpx.Client, half: str) -> None:
    for path, body in [
        ("/v1/search", '{"text": "%s"}'),
        ("/v1/search", '{"text": "cat", "filters": {"attributes": {"%s": "x"}}}'),
        ("/v1/search", '{"%s": 1}'),
        ("/v1/jobs", '{"source": "%s"}'),
    ]:
        assert raw_json(http, path, body % half).status_code == 422, (path, body)
    said, files = f'{{"breed": "{half}"}}', {"photos": ("a.jpg", pictures.jpeg(1))}
    answer = http.post("/v1/images", files=files, data={"metadata": said})
    assert answer.status_code == 422


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "9" * 5000, "0.5", "true", '"7"'])
def test_odd_numbers(http: httpx.Client, number: str) -> None:
    for path, body in [
        ("/v1/jobs", '{"expected": %s}'),
        ("/v1/search", '{"text": "cat", "limit": %s}'),
        ("/v1/search", '{"text": "cat", "weights": {"text": %s}}'),
        ("/v1/search", '{"text": "cat", "filters": {"near": {"lat": %s, "lon": 1, "km": 1}}}'),
    ]:
        assert raw_json(http, path, body % number).status_code in (200, 202, 400, 422), path
    for name in ("limit", "min_score", "near"):
        answer = http.get("/v1/search", params={"q": "cat", name: number})
        assert answer.status_code in (200, 422), name


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999-23:59",
        "1969-12-31",
        "2026-02-30",
        "20260101",
        "1e9",
        "2026-01-01T00:00:00.123456789Z",
        "infinity",
    ],
)
def test_odd_times(http: httpx.Client, client: Client, time: str) -> None:
    for name in ("since", "until", "taken_since", "taken_until"):
        assert http.get("/v1/images", params={name: time}).status_code in (200, 422), name
    cursor = f"{time}|00000000-0000-0000-0000-000000000000"
    assert http.get("/v1/images", params={"cursor": cursor}).status_code in (200, 422)
    files = {"photos": ("a.jpg", pictures.jpeg(1))}
    said = {"metadata": json.dumps({"taken_at": time})}
    answer = http.post("/v1/images", files=files, data=said)
    assert answer.status_code in (202, 422)
    if answer.status_code == 202:
        body = list(client.watch_job(answer.json()["job_id"]))[-1]
        assert body["counts"]["failed"] == 0, body
    assert http.get("/v1/images", params={"sort": "taken_at"}).status_code == 200


@odd_text
def test_odd_words_about_a_photo_are_refused_or_found_again(
    client: Client, http: httpx.Client, text: str
) -> None:
    data = pictures.jpeg(90_000 + sum(map(ord, text)))
    job = upload(client, PhotoSource(iter([Photo("a.jpg", data)]), 1), name="odd")
    assert job["done"] == 1
    url = f"/v1/images/{image_id_of(sha256_of(data))}"
    answer = http.patch(url, json={"tags": [text], "animal_id": text, "attributes": {"a": text}})
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        for params in ({"animal_id": text}, {"tag": text}, {"attr": f"a={text}"}):
            if text.strip():
                items = http.get("/v1/images", params=params).json()["items"]
                assert url in [f"/v1/images/{item['image_id']}" for item in items], params
    assert http.get("/v1/facets", params={"by": "tag"}).status_code == 200


def test_odd_names_of_files(http: httpx.Client) -> None:
    for name in (*ODD_TEXTS.values(), "../../etc/passwd", "a/b\\c.jpg", "", "x" * 5000):
        files = {"photos": (name or "n", pictures.jpeg(3))}
        assert http.post("/v1/images", files=files).status_code in (202, 400, 422), repr(name)
    archive = {"file": ("\u202e\x07.zip", b"PK\x05\x06" + bytes(18))}
    assert http.post("/v1/jobs/upload", files=archive).status_code in (202, 422)


def test_unknown_parameters_and_unknown_fields_are_rejected(http: httpx.Client) -> None:
    assert http.get("/v1/search", params={"q": "cat", "colour": "red"}).status_code == 422
    assert raw_json(http, "/v1/search", '{"text": "cat", "colour": "red"}').status_code == 422
