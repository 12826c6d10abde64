"""Watching a job: the client reads its event stream and asks again where it was cut off."""

import json
from collections.abc import Iterable, Iterator
from importlib import import_module

import httpx
import pytest

from petsearch.client import Client
from petsearch.domain.errors import NotFound, Unavailable

EVENT_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


class Stream(httpx.SyncByteStream):
    """The parts of a body; an exception among them ends the connection."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            yield part


def event(number: int, *, ended: bool = False) -> bytes:
    job = {"done": number, "finished_at": "2026-05-01T12:00:00Z" if ended else None}
    return f"event: job\nid: {number}\nretry: 2000\ndata: {json.dumps(job)}\n\n".encode()


def watched(answers: Iterable[httpx.Response | Exception]) -> tuple[list[int], list[str | None]]:
    """What `watch_job` yields, and the Last-Event-ID of every request."""
    remaining, asked = iter(answers), list[str | None]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        found = next(remaining)
        if isinstance(found, Exception):
            raise found
        return found

    with Client("http://server", transport=httpx.MockTransport(answer)) as client:
        return [job["done"] for job in client.watch_job("a-job")], asked


def stream(*parts: bytes | Exception) -> httpx.Response:
    return httpx.Response(200, headers=EVENT_STREAM, stream=Stream(*parts))


def test_events_end_with_the_final_state_and_comments_are_ignored() -> None:
    parts = (b": waiting\n\n", event(1), b": ping\n\n", event(2, ended=True), event(3))
    assert watched([stream(*parts)]) == ([1, 2], [None])


def test_an_event_may_come_in_pieces() -> None:
    whole = event(1) + event(2, ended=True)
    assert watched([stream(*(bytes([byte]) for byte in whole))]) == ([1, 2], [None])


def test_a_stream_that_is_cut_off_goes_on_after_the_last_event() -> None:
    cut_off = httpx.ReadError("the connection was reset")
    answers = [stream(event(1), cut_off), stream(event(2, ended=True))]
    assert watched(answers) == ([1, 2], [None, "1"])


def test_a_server_that_is_being_restarted_is_waited_for() -> None:
    answers: list[httpx.Response | Exception] = [
        stream(event(1)),
        httpx.ConnectError("Connection refused"),
        httpx.Response(503, json={"detail": "The server is starting."}),
        stream(event(2, ended=True)),
    ]
    assert watched(answers) == ([1, 2], [None, "1", "1", "1"])


def test_a_server_that_was_never_there_is_not_waited_for() -> None:
    with pytest.raises(Unavailable, match="No petsearch server"):
        watched([httpx.ConnectError("Connection refused")])


def test_a_server_that_does_not_come_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("petsearch.client.api"), "pauses", lambda: iter([0.0, 0.0]))
    refused = [httpx.ConnectError("Connection refused") for _ in range(3)]
    with pytest.raises(Unavailable):
        watched([stream(event(1)), *refused])


def test_a_job_that_is_deleted_while_the_server_is_away_ends_the_watch() -> None:
    gone = httpx.Response(404, json={"detail": "There is no job 'a-job'."})
    with pytest.raises(NotFound):
        watched([stream(event(1)), httpx.ConnectError("Connection refused"), gone])


def test_a_page_instead_of_events_is_an_error() -> None:
    with pytest.raises(Unavailable, match="text/event-stream"):
        watched([httpx.Response(200, html="<h1>It works!</h1>")])


def test_an_error_response_is_raised_with_its_detail() -> None:
    with pytest.raises(NotFound, match="There is no job"):
        watched([httpx.Response(404, json={"detail": "There is no job 'a-job'."})])
