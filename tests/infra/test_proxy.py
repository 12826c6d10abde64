"""The Caddyfiles: what reaches the API, what the page gets, how the proxy waits and drains."""

import fnmatch
import re

from petsearch.settings import Limits
from services.api.routes import (
    ancestor,
    duplicates,
    image_files,
    images,
    job_events,
    jobs,
    keys,
    search,
    session,
    status,
    uploads,
)
from services.http.middleware import HSTS, security_headers
from tests.infra.compose_files import ROOT, seconds
from tests.infra.test_compose import SERVICES
from tests.infra.test_dockerfiles import start_command

PROXY = ROOT / "infra/proxy"
CADDYFILE = (PROXY / "Caddyfile").read_text()
SITE = (PROXY / "site.caddy").read_text()
ROUTERS = (
    ancestor,
    duplicates,
    image_files,
    images,
    job_events,
    jobs,
    keys,
    search,
    session,
    status,
    uploads,
)


def proxied(path: str) -> bool:
    """Whether the proxy hands this path to the API."""
    (patterns,) = re.findall(r"^\s*@api path (.+)$", SITE, re.MULTILINE)
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns.split())


def test_proxy_passes_every_route_of_the_api_and_no_file_of_the_page() -> None:
    paths = {route.path for module in ROUTERS for route in module.router.routes}
    assert len(paths) > 15
    assert {path for path in paths if not proxied(path)} == set()
    files = {f"/{file.relative_to(ROOT / 'web')}" for file in (ROOT / "web").rglob("*")}
    assert {file for file in files if proxied(file)} == set()
    assert not proxied("/metrics")


def test_page_has_the_headers_that_the_api_sends() -> None:
    for name, sent in security_headers().items():
        value = sent.replace("ancestors 'none'", "ancestors {$PETSEARCH_FRAME_ANCESTORS:'none'}")
        assert re.search(rf'^\s*{name} "?{re.escape(value)}"?$', SITE, re.MULTILINE), name
    assert f'Strict-Transport-Security "{HSTS}"' in (PROXY / "Caddyfile.tls").read_text()


def test_every_address_serves_the_same_site() -> None:
    for name in ("Caddyfile", "Caddyfile.tls"):
        text = (PROXY / name).read_text()
        assert text.count("import site.caddy") == 1
        assert "admin off" in text


def test_no_protocol_is_announced_that_is_not_published() -> None:
    """HTTP/3 would be announced at the port in the container."""
    text = (PROXY / "Caddyfile.tls").read_text()
    assert re.findall(r"^\s*protocols (.+)$", text, re.MULTILINE) == ["h1 h2"]


def test_proxy_takes_what_the_api_takes() -> None:
    assert f"max_size {{$MAX_BODY_BYTES:{Limits().request_bytes}}}" in SITE


def test_proxy_drains_within_its_grace_period_and_keeps_connections_shorter_than_the_api() -> None:
    def setting(text: str, name: str) -> int:
        values = re.findall(rf"^\s*{name} (\d+[sm])$", text, re.MULTILINE)
        return max(map(seconds, values))

    for name in ("Caddyfile", "Caddyfile.tls"):
        grace_s = setting((PROXY / name).read_text(), "grace_period")
        assert grace_s < seconds(SERVICES["web"]["stop_grace_period"])
    command = start_command("api")
    assert setting(SITE, "keepalive") < int(command[command.index("--timeout-keep-alive") + 1])
