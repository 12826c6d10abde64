"""A keyless service on loopback must not be open to every page its user visits."""

import httpx
import pytest


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://["])
def test_another_sites_page_may_not_write(http: httpx.Client, origin: str) -> None:
    answer = http.post("/v1/jobs", json={}, headers={"Origin": origin})
    assert answer.status_code == 403


def test_our_own_page_may_write(http: httpx.Client, server_url: str) -> None:
    answer = http.post("/v1/jobs", json={}, headers={"Origin": server_url})
    assert answer.status_code == 202


def test_a_rebound_host_name_is_not_served(http: httpx.Client) -> None:
    answer = http.get("/v1/stats", headers={"Host": "evil.example"})
    assert answer.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_loopback_names_are_served(http: httpx.Client, host: str) -> None:
    assert http.get("/v1/stats", headers={"Host": host}).status_code == 200


def test_answers_carry_safe_headers_and_the_callers_request_id(http: httpx.Client) -> None:
    answer = http.get("/v1/stats", headers={"X-Request-Id": "from-a-client.1"})
    assert answer.headers["x-request-id"] == "from-a-client.1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_request_id_that_could_break_the_log_is_replaced(http: httpx.Client) -> None:
    answer = http.get("/v1/stats", headers={"X-Request-Id": "a b=c"})
    assert answer.headers["x-request-id"] != "a b=c"


def test_health_says_which_part_answers(http: httpx.Client) -> None:
    assert http.get("/livez").json()["status"] == "ok"
    ready = http.get("/readyz").json()
    assert ready["status"] == "ok"
    assert set(ready["checks"]) >= {"index", "store", "redis", "embedder"}
