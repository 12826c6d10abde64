"""Keys as people use them: made offline, asked for by a server on the network, never in its log."""

import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from petsearch.client import Client, PhotoSource, upload
from petsearch.domain.errors import PetsearchError
from tests.programs import petsearch, run
from tests.server import ServerProcess


def make_key(data_dir: Path, *scopes: str) -> str:
    """The secret, which is all that is on stdout."""
    options = [word for scope in scopes for word in ("--scope", scope)]
    made = petsearch("keys", "create", "--name", "test", *options, "--data-dir", str(data_dir))
    assert made.returncode == 0, made.stderr
    assert "not shown again" in made.stderr
    return made.stdout.strip()


def test_a_server_on_the_network_starts_once_an_admin_has_a_key(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path))
    alone = petsearch("keys", "create", "--name", "page", "--scope", "search", *where)
    assert (alone.returncode, "--scope admin" in alone.stderr) == (1, True), alone.stderr
    nowhere = petsearch(
        *("keys", "create", "--name", "me", "--scope", "admin"),
        *("--data-dir", str(tmp_path / "TYPO")),
    )
    assert (nowhere.returncode, "There is no data folder" in nowhere.stderr) == (1, True)
    assert not (tmp_path / "TYPO").exists()
    refused = ServerProcess(tmp_path, "--host", "0.0.0.0")
    assert refused.stop() == 1
    assert "petsearch keys create" in refused.log
    assert "PETSEARCH_ALLOW_NO_KEYS" in refused.log

    admin = make_key(tmp_path, "admin")
    search = make_key(tmp_path, "search")
    secrets = (admin, search)
    server = ServerProcess(tmp_path, "--host", "0.0.0.0", env={"PETSEARCH_LOG_LEVEL": "DEBUG"})
    assert server.address, server.log
    try:
        _use(server, *secrets)
    finally:
        assert server.stop() == 0
    for secret in secrets:
        assert f"key_id={secret.split('_')[1]}" in server.log
        assert secret.split("_", 2)[2] not in server.log
    assert "petsearch_session" not in server.log
    assert "/v1/stats" in server.log

    listed = petsearch("keys", "list", "--json", "--data-dir", str(tmp_path))
    by_scope = {key["scopes"][0]: key for key in json.loads(listed.stdout)["items"]}
    assert by_scope["search"]["revoked_at"] is not None
    assert by_scope["admin"]["last_used_at"] is not None
    assert "secret" not in listed.stdout
    assert "revoked" in petsearch("keys", "list", "--data-dir", str(tmp_path)).stdout


def _use(server: ServerProcess, admin: str, search: str) -> None:
    """What the two holders do, by the command line, the Python client and plain HTTP."""
    stats = server.address + "/v1/stats"
    assert httpx.get(stats).status_code == 401
    assert httpx.get(stats, headers={"Authorization": f"Bearer {search}x"}).status_code == 401
    signed_in = httpx.post(server.address + "/v1/session", json={"api_key": admin})
    assert signed_in.status_code == 200

    without = petsearch("search", "cat", "--api", server.address)
    assert without.returncode == 1
    assert "PETSEARCH_API_KEY" in without.stderr
    found = petsearch("search", "cat", "--api", server.address, env={"PETSEARCH_API_KEY": search})
    assert found.returncode == 0, found.stderr
    in_use = petsearch("keys", "list", "--data-dir", str(server.data_dir))
    assert in_use.returncode == 1
    assert "in use by process" in in_use.stderr

    refused = pytest.raises(PetsearchError, match="scope ingest")
    with Client(server.address, api_key=search) as client, refused:
        upload(client, PhotoSource(iter(()), 0), name="test")
    with Client(server.address, api_key=admin) as client:
        made = client.create_key("a page", ["search"])
        assert made["key"]["key_id"] in made["secret"]
        assert [key["name"] for key in client.list_keys()] == ["test", "test", "a page"]
        client.revoke_key(made["key"]["key_id"])
        client.revoke_key(search.split("_")[1])
    assert httpx.get(stats, headers={"Authorization": f"Bearer {search}"}).status_code == 401


def test_keys_are_revoked_offline_and_what_is_wrong_is_said(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path))
    key_id = make_key(tmp_path, "admin", "ingest").split("_")[1]
    assert petsearch("keys", "revoke", key_id, *where).returncode == 0
    unknown = petsearch("keys", "revoke", "0" * 12, *where)
    assert (unknown.returncode, "There is no key" in unknown.stderr) == (1, True)
    no_scope = petsearch("keys", "create", "--name", "x", "--scope", "everything", *where)
    assert no_scope.returncode == 2
    assert "admin" in no_scope.stderr
    make_key(tmp_path, "admin")
    page = ("keys", "create", "--name", "page", "--origin", "https://shelter.example", *where)
    too_much = petsearch(*page, "--scope", "admin")
    assert (too_much.returncode, "only scope is search" in too_much.stderr) == (1, True)
    made = petsearch(*page, "--scope", "search")
    assert (made.returncode, "search from https://shelter.example" in made.stderr) == (0, True)
    nowhere = petsearch("keys", "list", env={"PETSEARCH_REDIS_URL": ""})
    assert nowhere.returncode == 1
    assert "--data-dir" in nowhere.stderr


def test_the_api_process_does_not_start_without_an_admin(tmp_path: Path) -> None:
    env = {"PETSEARCH_REDIS_URL": f"local:{tmp_path / 'redis'}", "PETSEARCH_ALLOW_NO_KEYS": "0"}

    def start() -> str:
        done = run(
            [sys.executable, "-m", "uvicorn", "--factory", "services.api.main:create_app"],
            timeout_s=240,
            env={**os.environ, **env, "PETSEARCH_EMBEDDER_URL": ""},
        )
        assert done.returncode == 1
        return done.stderr.splitlines()[-1]

    assert "petsearch keys create" in start()
    made = petsearch("keys", "create", "--name", "me", "--scope", "admin", env=env)
    assert made.returncode == 0, made.stderr
    # On to the next thing it needs.
    assert "PETSEARCH_EMBEDDER_URL is not set" in start()
