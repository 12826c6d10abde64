"""Forms take no more memory, open files or time of the event loop than is counted."""

import base64
import socket
import time
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, UploadFile
from fastapi.testclient import TestClient

from petsearch.domain.api_keys import Scope
from services.http import forms
from services.http.protocol import BoundedProtocol
from tests import pictures
from tests.app_server import served_app
from tests.services.keyed_app import KeyedApp, keyed_app
from tests.waiting import wait_until

PATH = "/v1/search/image"
MARK = "form"
KIND = f"multipart/form-data; boundary={MARK}"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(keyed: KeyedApp) -> TestClient:
    return keyed.client(keyed.app(), keyed.make_key(Scope.ADMIN))


@pytest.fixture(scope="module")
def address(keyed: KeyedApp) -> Iterator[tuple[str, int]]:
    with served_app(keyed.app(anonymous_search=True), http=BoundedProtocol) as url:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        yield parts.hostname, parts.port


def part(name: str, data: bytes, filename: str = "") -> bytes:
    said = f'Content-Disposition: form-data; name="{name}"'
    said += f'; filename="{filename}"' if filename else ""
    return f"--{MARK}\r\n{said}\r\n\r\n".encode() + data + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{MARK}--\r\n".encode()


PHOTO = part("photo", pictures.jpeg(1), "a.jpg")


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"us-ascii"', "iso-8859-1", "latin1"])
def test_forms_in_charsets_of_old_clients_are_read(client: TestClient, charset: str) -> None:
    headers = {"Content-Type": f"{KIND}; charset={charset}"}
    assert client.post(PATH, content=whole(PHOTO), headers=headers).status_code == 200


@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-7", "zip", "none", "x" * 5000])
def test_others_are_refused_before_a_field_is_decoded(client: TestClient, charset: str) -> None:
    headers = {"Content-Type": f"{KIND}; charset={charset}"}
    slow = part("species", b"aaaaaaaaaa-" + 300_000 * b"a")
    began = time.thread_time()
    refused = client.post(PATH, content=whole(slow, PHOTO), headers=headers)
    assert refused.status_code == 422
    assert "UTF-8" in refused.json()["detail"]
    assert time.thread_time() - began < 1, "punycode takes a time that grows with the square"


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (PATH, [("photo", "a.jpg", pictures.jpeg(1)), ("query", "", b'{"limit": 1}')]),
        ("/v1/images", [("photos", "a.jpg", pictures.jpeg(2)), ("metadata", "", b'{"tags": []}')]),
        ("/v1/jobs/upload", [("file", "a.zip", pictures.jpeg(3)), ("columns", "", b"{}")]),
    ],
)
def test_json_in_a_form_may_begin_with_a_byte_order_mark(
    client: TestClient, path: str, parts: list[tuple[str, str, bytes]]
) -> None:
    marked = [part(name, (b"" if file else BOM_UTF8) + data, file) for name, file, data in parts]
    answer = client.post(path, content=whole(*marked), headers={"Content-Type": KIND})
    assert answer.status_code in (200, 202), answer.json()["detail"]


WORD = base64.b64encode("kätz.jpg".encode()).decode()


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (
            f"name=photos; filename=\"=?utf-8?B?{WORD}?=\"; filename*=utf-8''k%C3%A4tz.jpg",
            "kätz.jpg",
        ),
        ("name=photos; filename=cat.jpg; filename*=utf-8''cat.jpg", "cat.jpg"),
        (f'name=photos; filename="=?utf-8?B?{WORD}?="', "kätz.jpg"),
        ('name="photos"; filename="=?UTF-8?Q?k=C3=A4tz_2.jpg?="', "kätz 2.jpg"),
        ("name=\"photos\"; filename*=UTF-8'de'k%C3%A4tz%22.jpg", 'kätz".jpg'),
        ("filename*=UTF-8''k%C3%A4tz.jpg; name=\"photos\"", "kätz.jpg"),
        ('name="photos"; filename="a; filename*=utf-8\'\'b.jpg"', "a; filename*=utf-8''b.jpg"),
        ('name="photos"; filename="=?utf-8?B?a?=.jpg"', "=?utf-8?B?a?=.jpg"),
        ('name="photos"; filename="=?utf-8?B?a?="', "=?utf-8?B?a?="),
        ('name="photos"; filename="a.jpg"; filename*=x-none\'\'b.jpg', "a.jpg"),
    ],
)
def test_a_coded_file_name_is_read(said: str, name: str) -> None:
    app = FastAPI()
    app.router.route_class = forms.FormRoute

    @app.post("/")
    async def name_of(photos: UploadFile) -> str | None:
        return photos.filename

    head = f"--{MARK}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode()
    body = whole(head + pictures.jpeg(1) + b"\r\n")
    answer = TestClient(app).post("/", content=body, headers={"Content-Type": KIND})
    assert answer.json() == name


@pytest.mark.parametrize("said", [b";" * 4000, b'";' * 2000, b'"\\' * 2000, b"; filename*= " * 300])
def test_a_file_name_takes_no_time(said: bytes) -> None:
    began = time.thread_time()
    forms._with_plain_name(b"form-data" + said)
    assert time.thread_time() - began < 0.1


def test_the_fields_of_a_form_have_one_limit_together(client: TestClient) -> None:
    fields = [part(f"f{n}", 20_000 * b"x") for n in range(30)]
    refused = client.post(PATH, content=whole(*fields, PHOTO), headers={"Content-Type": KIND})
    assert refused.status_code == 400
    assert "64 fields of 512 KB in all" in refused.json()["detail"]
    assert not forms.IN_USE.bytes


def begin(address: tuple[str, int], *parts: bytes) -> socket.socket:
    """A form without its end."""
    connection = socket.create_connection(address, 20)
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {KIND}\r\n"
    connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    for data in parts:
        connection.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    return connection


def wait_until_held(size: int, files: int = 0) -> None:
    """Of one client alone, which is counted for itself and in all."""
    wanted = (2 * size, 2 * files)
    wait_until(lambda: (forms.IN_USE.bytes.total(), forms.IN_USE.files.total()) == wanted)


def test_what_unfinished_forms_hold_is_bounded_for_each_client(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    field = part("species", 100_000 * b"x")
    counted = 100_000 + len('form-data; name="species"')
    monkeypatch.setattr(forms, "HELD_BYTES", 5 * counted)  # of which one client may take half
    with ExitStack() as opened:
        for _ in range(2):
            opened.enter_context(begin(address, field))
        wait_until_held(2 * counted)
        third = opened.enter_context(begin(address, field))
        answer = third.recv(65536)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1\r\n" in answer.lower()
    wait_until_held(0)
    with begin(address, field):
        wait_until_held(counted)


def test_larger_files_are_counted_as_open_ones_and_take_no_memory(
    address: tuple[str, int],
) -> None:
    large = part("photo", 40_000 * b"x", "a.jpg")
    with begin(address, large, part("photo", b"x", "b.jpg")):
        headers = len('form-data; name="photo"; filename="a.jpg"')
        wait_until_held(2 * headers + 1, 1)
    wait_until_held(0)
