"""docker-compose.prod.yml: keys, passwords, TLS, and what keeps the certificate."""

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from devstack.addresses import free_port
from tests import pictures
from tests.compose.projects import (
    Project,
    files_of,
    free_subnet,
    logs,
    on_engine,
    project,
    remove,
    wait_until,
)
from tests.infra.compose_files import ROOT

pytestmark = on_engine
PROD = "docker-compose.prod.yml"
SECRETS = {
    "GRAFANA_ADMIN_PASSWORD": "for-grafana",
    "PETSEARCH_QDRANT_API_KEY": "for-qdrant",
    "PETSEARCH_S3_ACCESS_KEY": "keeper",
    "PETSEARCH_S3_SECRET_KEY": "for-the-store",
    "PUBLIC_HOST": "localhost",
    "REDIS_PASSWORD": "forredis",
    "TLS_ADDRESS": "127.0.0.1",
    "TLS_ISSUER": "internal",
}


def ports() -> dict[str, str]:
    """Free ports, and a free network."""
    return {
        "EDGE_SUBNET": free_subnet(),
        "HTTP_PORT": str(free_port()),
        "HTTPS_PORT": str(free_port()),
    }


def certificate(port: str) -> str:
    """The certificate that is shown at a port, once there is one."""
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with httpx.Client(verify=context) as http:
                assert http.get(f"https://localhost:{port}/").status_code == 200
            shown = ssl.get_server_certificate(("localhost", int(port)))
        except OSError:
            return False
        return True

    wait_until(is_shown)
    return shown


@pytest.mark.smoke
def test_the_certificate_is_kept_through_stops_and_new_containers() -> None:
    env = {**SECRETS, **ports()}
    with project("prod", PROD, **env) as prod:

        def start() -> str:
            for service in ("web-volume", "web"):
                prod.compose("up", "--detach", "--no-deps", service)
            return certificate(env["HTTPS_PORT"])

        first = start()
        prod.compose("stop", "--timeout", "5")
        assert start() == first
        prod.compose("down", "--timeout", "5")
        assert start() == first


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Project, Path]]:
    """A project of a checkout that is yet to be made, and the folder for it."""
    folder = tmp_path / "petsearch"
    with project("keys", PROD, **ports(), TLS_ADDRESS="127.0.0.1") as opened:
        prod = replace(opened, env={**opened.env, "COMPOSE_FILE": files_of(folder, PROD)})
        try:
            yield prod, tmp_path
        finally:
            if folder.exists():
                remove(prod)


def test_production_starts_from_an_empty_folder_as_is_documented(
    empty: tuple[Project, Path],
) -> None:
    prod, folder = empty
    changed = {"ADDRESS": str(ROOT), "pets.example": "localhost", "me@localhost": "internal"}
    prod.follow("git clone ADDRESS petsearch", folder, changed)
    said = prod.follow("docker compose up -d --wait redis", folder / "petsearch")
    key = next(word for word in said.split() if word.startswith("ps_"))
    certificate(prod.env["HTTPS_PORT"])
    prod.follow(
        "docker compose cp web:/data/caddy/pki/authorities/local/root.crt .", folder / "petsearch"
    )
    trusted = ssl.create_default_context(cafile=str(folder / "petsearch/root.crt"))
    url = f"https://localhost:{prod.env['HTTPS_PORT']}"
    with httpx.Client(base_url=url, verify=trusted, timeout=60) as http:
        wait_until(lambda: http.get("/readyz").json()["status"] == "ok")
        for headers in ({}, {"Authorization": "Bearer ps_wrong"}):
            assert http.get("/v1/search", params={"q": "cat"}, headers=headers).status_code == 401
        http.headers["Authorization"] = f"Bearer {key}"
        photos = {"photos": ("a.jpg", pictures.jpeg(1))}
        assert http.post("/v1/images", files=photos).status_code == 202
        wait_until(lambda: http.get("/v1/stats").json()["images"] == 1)
        found = http.get("/v1/search", params={"q": "a dog"}).json()
        assert len(found["items"]) == 1
        plain = f"http://localhost:{prod.env['HTTP_PORT']}/?q=cat"
        assert http.get(plain).headers["Location"] == f"{url}/?q=cat"
        check_a_wrong_password(prod, http)


def check_a_wrong_password(prod: Project, http: httpx.Client) -> None:
    """An API with another password for Redis names it, and works again with the right one."""
    up = ("up", "--detach", "--no-deps", "api")
    prod.compose(*up, REDIS_PASSWORD="another")
    wait_until(lambda: "password" in logs(prod.container("api")))
    assert "another" not in logs(prod.container("api"))
    prod.compose(*up)
    wait_until(lambda: http.get("/v1/search", params={"q": "a cat"}).status_code == 200)
