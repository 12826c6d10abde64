"""What `make stack` starts: servers for addresses that are not set, services that share them."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.launcher import Shape, make_plan
from petsearch.domain.errors import ConfigurationError

EVERYTHING = {
    "PETSEARCH_REDIS_URL": "redis://redis.example:6379/0",
    "PETSEARCH_STORE_URL": "s3+https://s3.example/pets",
    "PETSEARCH_INDEX_URL": "https://qdrant.example:6333",
    "PETSEARCH_EMBEDDER_URL": "http://a.example:8100,http://b.example:8100",
}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_what_is_not_named_is_started_here_and_said(tmp_path: Path) -> None:
    plan = make_plan(Shape(apis=2, embedders=2, workers=2, port=0), {}, tmp_path)
    assert [part.name for part in plan.servers] == ["redis", "s3", "qdrant"]
    # Redis keeps what it holds; without the others a stack is worth nothing.
    assert [part.forgets for part in plan.servers] == [False, True, True]
    names = [part.name for part in plan.services]
    assert names == ["embedder-1", "embedder-2", "api-1", "api-2", "worker-1", "worker-2"]
    env = plan.services[-1].env
    assert re.fullmatch(
        r"http://127\.0\.0\.1:\d+,http://127\.0\.0\.1:\d+", env["PETSEARCH_EMBEDDER_URL"]
    )
    assert len(set(plan.api_urls)) == 2
    assert "stand-in" in dict(plan.notes)["index"]
    assert "memory" in dict(plan.notes)["store"]


def test_what_is_named_is_used_and_nothing_stands_in_for_it(tmp_path: Path) -> None:
    plan = make_plan(Shape(port=0), {**EVERYTHING, "PETSEARCH_DRAIN_S": "7"}, tmp_path)
    assert plan.servers == ()
    assert [part.name for part in plan.services] == ["api", "worker"]
    for part in plan.services:
        assert {name: part.env[name] for name in EVERYTHING} == EVERYTHING
        assert part.env["PETSEARCH_DRAIN_S"] == "7"
    assert all(note.startswith("from PETSEARCH_") for _, note in plan.notes)


def test_an_address_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    for name, address in (
        ("PETSEARCH_INDEX_URL", "edge:/data/index"),
        ("PETSEARCH_EMBEDDER_URL", "local:"),
        ("PETSEARCH_REDIS_URL", "local:/data/redis"),
    ):
        with pytest.raises(ConfigurationError, match=f"{name}.*cannot share"):
            make_plan(Shape(port=0), {name: address}, tmp_path)


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path, taken_port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"Port {taken_port} is in use"):
        make_plan(Shape(port=taken_port), EVERYTHING, tmp_path)
