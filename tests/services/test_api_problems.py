"""Every error is a problem document (RFC 9457) with a request id, whoever finds it."""

import errno
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.http.body_limit import BodyLimit
from services.http.middleware import RequestContext
from services.http.problems import add_problem_handlers
from tests.app_server import served_app

NO_THREAD = RuntimeError("can't start new thread")
ABSENT = "00000000-0000-0000-0000-000000000000"


def check_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "request_id"}
    assert body["status"] == status
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("POST", "/v1/nothing", 404),
        ("GET", "/nothing.html", 404),
        ("GET", "/%00", 404),
        ("GET", "/" + "x" * 5000, 404),
        ("GET", "/v1/jobs/", 404),
        ("GET", f"/v1/images/{ABSENT}", 404),
        ("GET", f"/v1/images/{ABSENT}/display", 404),
        ("GET", f"/v1/images/{ABSENT}/original", 404),
        ("GET", "/v1/jobs/petsearch:jobs", 404),
        ("GET", "/v1/images/no-uuid", 422),
        ("GET", "/v1/search", 422),
        ("GET", "/v1/search?q=" + "x" * 1001, 413),
        ("GET", "/v1/search?q=cat&limit=many", 422),
        ("GET", "/v1/images?since=9999999999999999999999", 422),
    ],
)
def test_errors_are_problems(http: httpx.Client, method: str, path: str, status: int) -> None:
    check_problem(http.request(method, path), status)


def test_a_file_name_that_is_too_long_is_not_said_back(http: httpx.Client) -> None:
    for length in (500, 5000):
        answer = http.get("/images/" + "x" * length)
        check_problem(answer, 404)
        assert answer.json()["detail"] == f"There is no image named {'x' * 100!r}."


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE"])
def test_another_method_is_told_which_are_allowed(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/v1/search")
    check_problem(answer, 405)
    assert answer.headers["allow"]


def test_a_post_route_is_not_hidden_by_the_page(http: httpx.Client) -> None:
    check_problem(http.get("/v1/jobs/none/seal"), 405)


def test_no_json_and_no_unicode_are_problems(http: httpx.Client) -> None:
    as_json = {"Content-Type": "application/json"}
    for body, status in [(b"{", 422), (b'{"text": "\xff"}', 400), (b'{"\\ud800": 1}', 422)]:
        check_problem(http.post("/v1/search", content=body, headers=as_json), status)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An application that takes 1,000 bytes and has a route that fails."""
    app = FastAPI()

    @app.post("/size")
    def size(said: dict[str, str]) -> int:
        return len(said)

    @app.get("/fail")
    def fail() -> None:
        Path(tmp_path_factory.getbasetemp() / "absent").read_text()

    @app.get("/limit")
    def reach_limit(*, of_files: bool) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "/in/side") if of_files else NO_THREAD

    add_problem_handlers(app)
    app.add_middleware(BodyLimit, max_bytes_of=lambda _: 1000)
    app.add_middleware(RequestContext)
    with served_app(app) as url:
        yield url


def test_a_body_over_the_limit_is_a_problem_also_in_chunks(small: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"a": "'
        for _ in range(20):
            yield b"x" * 100
        yield b'"}'

    as_json = {"Content-Type": "application/json"}
    check_problem(httpx.post(f"{small}/size", content=chunks(), headers=as_json), 413)
    check_problem(httpx.post(f"{small}/size", json={"a": "x" * 2000}), 413)
    assert httpx.post(f"{small}/size", json={"a": "x"}).json() == 1


def test_a_failure_is_a_problem_that_tells_nothing_of_the_inside(small: str) -> None:
    answer = httpx.get(f"{small}/fail", headers={"X-Request-Id": "mine"})
    check_problem(answer, 500)
    assert answer.json()["request_id"] == "mine"
    assert "absent" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("of_files", [True, False])
def test_a_limit_of_the_machine_is_an_outage_that_ends(small: str, *, of_files: bool) -> None:
    answer = httpx.get(f"{small}/limit", params={"of_files": of_files})
    check_problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert "ulimit" in answer.json()["detail"]
    assert "/in/side" not in answer.text
