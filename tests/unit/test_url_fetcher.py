"""What is fetched from web addresses, and what is never connected to."""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsearch.adapters.web import UrlFetcher
from petsearch.adapters.web.public_addresses import IpAddress, is_public
from petsearch.domain.errors import (
    InvalidInput,
    NotAnImage,
    NotFound,
    Overloaded,
    PetsearchError,
    TooLarge,
    Unavailable,
)
from tests.certificates import self_signed
from tests.web_server import Answer, WebServer, drips, gives

MAX = 10_000
JPEG = b"\xff\xd8\xff\xe0 photo"


@pytest.fixture
def web() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


class Resolver:
    """Name servers for tests: hosts to addresses; counts what it is asked."""

    def __init__(self, **hosts: Sequence[str]) -> None:
        self.hosts = {name.replace("_", "."): list(found) for name, found in hosts.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002  # a resolver's signature
        self.asked.append(host)
        if host not in self.hosts:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.hosts[host]


def allow_this_machine(address: IpAddress) -> bool:
    return str(address) == "127.0.0.1" or is_public(address)


def local_fetcher(resolver: Resolver | None = None, timeout_s: float = 10.0) -> UrlFetcher:
    return UrlFetcher(
        timeout_s=timeout_s,
        resolve=resolver or Resolver(photos_org=["127.0.0.1"], other_org=["127.0.0.1"]),
        is_allowed=allow_this_machine,
    )


def fetch(web: WebServer, path: str, fetcher: UrlFetcher | None = None) -> bytes:
    url = f"url:http://photos.org:{web.port}{path}"
    return (fetcher or local_fetcher()).fetch(url, max_bytes=MAX)


def test_a_photo_is_fetched_as_it_is_with_the_name_it_was_asked_by(web: WebServer) -> None:
    web.answers["/a%20b.jpg?size=1"] = gives(200, b"photo")
    assert fetch(web, "/a b.jpg?size=1#part") == b"photo"
    ((_, headers),) = web.seen
    assert headers["host"] == f"photos.org:{web.port}"
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers
    assert "cookie" not in headers


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "192.0.2.1", "224.0.0.1"),
        *("240.0.0.1", "255.255.255.255", "192.88.99.1", "203.0.113.7"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "fec0::1"),
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b:1::1", "2002:7f00:1::", "2001:0:4136:e378::1", "2001:db8::1", "100::1"),
    ],
)
def test_an_address_that_is_not_public_is_never_connected_to(address: str) -> None:
    resolver = Resolver(evil_org=["93.184.216.34", address])
    with pytest.raises(InvalidInput, match="not on the public internet"):
        UrlFetcher(resolve=resolver).fetch("url:http://evil.org/a.jpg", max_bytes=MAX)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::1]", "localhost"]
)
def test_no_spelling_of_this_machine_gets_through(web: WebServer, host: str) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        UrlFetcher().fetch(f"url:http://{host}:{web.port}/a.jpg", max_bytes=MAX)
    assert web.seen == []


def test_a_name_server_that_changes_its_mind_changes_nothing(web: WebServer) -> None:
    class Rebinding(Resolver):
        def __call__(self, host: str, port: int) -> Sequence[str]:
            answer = super().__call__(host, port)
            self.hosts[host] = ["10.0.0.1"]
            return answer

    web.answers["/a.jpg"] = gives(200, b"photo")
    resolver = Rebinding(photos_org=["127.0.0.1"])
    assert fetch(web, "/a.jpg", local_fetcher(resolver)) == b"photo"
    assert resolver.asked == ["photos.org"], "the checked address is the one connected to"


def test_an_address_that_does_not_answer_leaves_the_next_one(web: WebServer) -> None:
    web.answers["/a.jpg"] = gives(200, b"photo")
    fetcher = UrlFetcher(
        resolve=Resolver(photos_org=["127.0.0.2", "127.0.0.1"]), is_allowed=lambda _: True
    )
    assert fetch(web, "/a.jpg", fetcher) == b"photo"


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://a.org/a.jpg", "gopher://a.org/", "a.jpg", "", "//a.org/x"),
        *("http://", "http:///a.jpg", "http://a.org:x/", "data:image/png;base64,AA", "http://[::1"),
        *("http://me:secret@photos.org/a.jpg", "http://me@photos.org/a.jpg"),
        *("http://a.org/\n", "http://xn--/a.jpg", "http://xn--%/a.jpg"),
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        local_fetcher().fetch(f"url:{url}", max_bytes=MAX)


NOWHERE = local_fetcher(Resolver())
PIECES = st.sampled_from(
    [
        "http://",
        "gopher:",
        "//",
        "[",
        "]",
        "::1",
        "xn--",
        "%",
        ":0",
        "@",
        "\\",
        "\u2100",
        "\ud800",
        "a",
    ]
)


@given(url=st.lists(PIECES, max_size=6).map("".join))
def test_any_text_is_a_web_address_or_refused(url: str) -> None:
    with pytest.raises(PetsearchError):
        NOWHERE.fetch(f"url:{url}", max_bytes=MAX)


def test_a_name_that_no_name_server_can_have_is_not_tried_again() -> None:
    with pytest.raises(NotFound):
        UrlFetcher().fetch("url:http://a..b/a.jpg", max_bytes=MAX)


def test_redirects_are_followed_at_most_three_times(web: WebServer) -> None:
    for number in range(4):
        web.answers[f"/{number}"] = gives(302, Location=f"/{number + 1}")
    web.answers["/4"] = gives(200, JPEG)
    other = f"http://other.org:{web.port}/2"
    web.answers["/elsewhere"] = gives(308, Location=other)
    assert fetch(web, "/1") == JPEG
    assert fetch(web, "/elsewhere") == JPEG
    assert ("/2", f"other.org:{web.port}") in [(p, h["host"]) for p, h in web.seen]
    with pytest.raises(InvalidInput, match="more than 3 times"):
        fetch(web, "/0")


@pytest.mark.parametrize(
    "location",
    [
        *("http://inside.org/", "http://127.0.0.2/", "http://169.254.169.254/latest/"),
        *("file:///etc/passwd", "http://me:secret@photos.org/", "http://[bad", ""),
        *(
            "http://xn--/",
            "gopher://[",
            "gopher://[]:1",
            "gopher://a\u2100b".encode().decode("latin-1"),
        ),
    ],
)
def test_a_redirect_is_checked_like_the_first_address(web: WebServer, location: str) -> None:
    web.answers["/a.jpg"] = gives(302, Location=location)
    resolver = Resolver(photos_org=["127.0.0.1"], inside_org=["10.0.0.1"])
    for plain in ("127.0.0.2", "169.254.169.254"):
        resolver.hosts[plain] = [plain]
    with pytest.raises((InvalidInput, NotFound)):
        fetch(web, "/a.jpg", local_fetcher(resolver))
    assert len(web.seen) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((400, InvalidInput), (401, InvalidInput), (403, InvalidInput), (451, InvalidInput)),
        *((404, NotFound), (410, NotFound), (408, Unavailable), (429, Overloaded)),
        *((500, Unavailable), (503, Unavailable), (204, InvalidInput), (304, InvalidInput)),
    ],
)
def test_a_status_says_whether_to_try_again(
    web: WebServer, status: int, error: type[Exception]
) -> None:
    web.answers["/a.jpg"] = gives(status)
    with pytest.raises(error) as raised:
        fetch(web, "/a.jpg")
    assert type(raised.value) is error


def test_when_to_try_again_is_taken_from_the_answer(web: WebServer) -> None:
    web.answers["/a.jpg"] = gives(429, Retry_After="120")
    with pytest.raises(Unavailable) as raised:
        fetch(web, "/a.jpg")
    assert raised.value.retry_after_s == 120


def test_more_bytes_than_allowed_are_not_read(web: WebServer) -> None:
    stop = threading.Event()
    web.answers["/declared.jpg"] = gives(200, Content_Length="99999999999")
    web.answers["/endless.jpg"] = drips(
        b"HTTP/1.0 200 OK\r\n\r\n" + bytes(1000), stop, pause_s=0.0001
    )
    web.answers["/exact.jpg"] = gives(200, bytes(MAX))
    for path in ("/declared.jpg", "/endless.jpg"):
        with pytest.raises(TooLarge):
            fetch(web, path)
    assert len(fetch(web, "/exact.jpg")) == MAX
    stop.set()


def test_a_packed_body_is_refused(web: WebServer) -> None:
    web.answers["/a.jpg"] = gives(200, b"x", Content_Encoding="gzip")
    with pytest.raises(InvalidInput, match="compressed"):
        fetch(web, "/a.jpg")


@pytest.mark.parametrize("start", [b"", b"HTTP/1.0 200 OK\r\nX-A: ", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_left_in_time(web: WebServer, start: bytes) -> None:
    stop = threading.Event()

    def answer(handler: object) -> None:
        handler.wfile.write(start)  # type: ignore[attr-defined]
        drips(b"x" if start else b"", stop, pause_s=0.02)(handler)  # type: ignore[arg-type]

    web.answers["/a.jpg"] = answer
    began = time.monotonic()
    with pytest.raises(Unavailable):
        fetch(web, "/a.jpg", local_fetcher(timeout_s=0.5))
    assert time.monotonic() - began < 5
    stop.set()


@pytest.mark.parametrize(
    "said", [b"no http at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"]
)
def test_an_answer_that_is_broken_may_be_tried_again(web: WebServer, said: bytes) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(said)

    web.answers["/a.jpg"] = answer
    with pytest.raises(Unavailable):
        fetch(web, "/a.jpg")


def test_hosts_that_are_not_there_are_told_from_name_servers_that_are_not() -> None:
    def away(host: str, port: int) -> Sequence[str]:  # noqa: ARG001  # a resolver's signature
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    with pytest.raises(NotFound, match="no host"):
        local_fetcher(Resolver()).fetch("url:http://nowhere.org/", max_bytes=MAX)
    with pytest.raises(Unavailable, match="name server"):
        UrlFetcher(resolve=away).fetch("url:http://a.org/", max_bytes=MAX)


def test_a_port_where_nobody_listens_may_be_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"url:http://photos.org:{taken.getsockname()[1]}/"
        with pytest.raises(Unavailable, match="does not answer"):
            local_fetcher().fetch(url, max_bytes=MAX)


def test_tls_names_the_host_and_believes_no_stranger(tmp_path: Path) -> None:
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed("photos.org", tmp_path))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with WebServer(context) as web:
        web.answers["/a.jpg"] = gives(200, b"photo")
        with pytest.raises(Unavailable, match="certificate"):
            local_fetcher().fetch(f"url:https://photos.org:{web.port}/a.jpg", max_bytes=MAX)
        assert web.seen == []
    assert asked == ["photos.org"], "not the address that was connected to"


def ranged(body: bytes) -> Answer:
    """An answer that knows ranges."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("range")
        last = int(asked.rpartition("-")[2]) if asked else len(body)
        part = body[: last + 1]
        more = {"Content_Range": f"bytes 0-{len(part) - 1}/{len(body)}"} if asked else {}
        gives(206 if asked else 200, part, **more)(handler)

    return answer


def ranges_of(web: WebServer) -> list[str | None]:
    return [headers.get("range") for _, headers in web.seen]


def test_what_is_no_photo_costs_one_range_where_its_name_does_not_tell(web: WebServer) -> None:
    web.answers["/report"] = ranged(b"%PDF-1.7" + bytes(200_000))
    url = f"url:http://photos.org:{web.port}/report"
    with pytest.raises(NotAnImage, match="a PDF document"):
        local_fetcher().fetch(url, max_bytes=1_000_000)
    assert ranges_of(web) == ["bytes=0-65535"]


@pytest.mark.parametrize(
    ("size", "ranges"), [(9_000, ["bytes=0-65535"]), (70_000, ["bytes=0-65535", None])]
)
def test_a_photo_whose_name_does_not_tell_is_fetched_whole(
    web: WebServer, size: int, ranges: list[str | None]
) -> None:
    photo = JPEG.ljust(size, b"\1")
    web.answers["/photo"] = ranged(photo)
    url = f"url:http://photos.org:{web.port}/photo"
    assert local_fetcher().fetch(url, max_bytes=100_000) == photo
    assert ranges_of(web) == ranges


def test_a_server_that_knows_no_ranges_is_not_read_to_its_end(web: WebServer) -> None:
    closed = threading.Event()

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        drips(bytes(5_000), threading.Event(), 0.001)(handler)
        closed.set()

    web.answers["/endless"] = endless
    url = f"url:http://photos.org:{web.port}/endless"
    with pytest.raises(NotAnImage, match="nothing but zero bytes"):
        local_fetcher(timeout_s=30.0).fetch(url, max_bytes=10**9)
    assert closed.wait(30.0), "the connection is closed"
    web.answers["/photo"] = gives(200, JPEG)
    assert fetch(web, "/photo") == JPEG
    assert ranges_of(web) == ["bytes=0-65535"] * 2


def test_a_photo_by_its_name_is_fetched_at_once(web: WebServer) -> None:
    web.answers["/a.JPG"] = ranged(b"anything")
    assert fetch(web, "/a.JPG") == b"anything"
    assert ranges_of(web) == [None]
