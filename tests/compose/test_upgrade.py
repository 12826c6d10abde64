"""From an older version to this one and back, by the commands of docs/operations.md."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests import pictures
from tests.compose.projects import (
    APPS,
    Project,
    docker,
    files_of,
    on_engine,
    project,
    searching,
    wait_until,
)
from tests.infra.compose_files import OURS, ROOT

pytestmark = on_engine
BEFORE = "ae1802d"
"""The last commit whose services have a Dockerfile each."""
OF_THIS_ENGINE = """
services:
  init:
    environment:
      PETSEARCH_QDRANT_GRPC: "false"
  qdrant:
    # More files than some engines allow.
    ulimits: !reset null
"""
FORWARD, BACK = "worker api embedder", "embedder api worker"
REPLICAS = {"api": 2, "embedder": 2, "worker": 1}
UNHURRIED = {"PETSEARCH_REQUEST_DEADLINE_S": "30"}
"""What a busy machine answers late has not failed: a new API's first search has much to load."""


@pytest.fixture
def old_checkout(tmp_path: Path) -> Path:
    """A checkout of the older version; `make test-compose` in one without history skips this."""
    command = f"git -C {ROOT} archive {BEFORE} | tar -x -C {tmp_path}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False)
    if done.returncode:
        pytest.skip(f"needs the commit {BEFORE}: git fetch --unshallow")
    (tmp_path / "engine.yml").write_text(OF_THIS_ENGINE)
    return tmp_path


def replace_services(now: Project, order: str) -> None:
    """Go to another version one service at a time; no search fails meanwhile."""
    now.compose("build")
    with searching(now.catalogue.url) as statuses:
        now.follow(f"for service in {FORWARD}; do", replaced={FORWARD: order})
    assert set(statuses) == {200}
    assert len(statuses) > 10
    for service, number in REPLICAS.items():
        found = now.containers(service)
        assert len(found) == number
        images = docker("inspect", "--format", "{{.Config.Image}}", *found).split()
        assert set(images) == {f"petsearch-{service}:{now.env['PETSEARCH_TAG']}"}
    embedders = set(now.containers("embedder"))
    now.follow("docker compose up -d --remove-orphans --scale api=2 --scale embedder=2")
    # They depend on no other service: nothing but a change of their own replaces them.
    assert set(now.containers("embedder")) == embedders
    now.catalogue.wait_until_searched()


def test_an_upgrade_and_the_way_back_lose_no_photo_and_no_search(old_checkout: Path) -> None:
    with project("upgrade", **UNHURRIED) as new:
        files = f"{files_of(old_checkout)}:{old_checkout / 'engine.yml'}"
        old = replace(new, env={**new.env, "COMPOSE_FILE": files, "PETSEARCH_TAG": BEFORE})
        new = replace(new, env={**new.env, "PETSEARCH_TAG": "local"})
        old.compose("build", *OURS)
        old.compose("up", "--detach", "--wait", "--scale", "api=2", "--scale", "embedder=2", *APPS)
        photos = [pictures.jpeg(seed) for seed in range(12)]
        assert new.catalogue.upload(*photos[:4]).status_code == 202
        new.catalogue.wait_for(4)
        kept = new.catalogue.photos()
        for then, now, order in ((4, new, FORWARD), (8, old, BACK)):
            replace_services(now, order)
            assert new.catalogue.upload(*photos[then : then + 4]).status_code == 202
            new.catalogue.wait_for(then + 4)
            assert new.catalogue.photos().items() >= kept.items()
            wait_until(lambda: new.catalogue.search_by_photo(photos[0]).status_code == 200)
