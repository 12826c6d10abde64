"""API keys as editors and shells leave them: used without what is around them, never printed."""

import httpx
import pytest

from petsearch.client import Client
from petsearch.domain.api_keys import split_key
from petsearch.domain.errors import ConfigurationError
from tests.programs import petsearch

SECRET = "k6jEJin3IMRkRQKYNQbgU8pOtkbmSLXYVi1e_-abcde"
KEY = f"ps_5265cab4cfd7_{SECRET}"
AROUND = {
    "line end": f"{KEY}\n",
    "Windows line end": f"{KEY}\r\n",
    "byte order mark": f"\ufeff{KEY}",
    "quotes": f'"{KEY}"',
    "single quotes": f"'{KEY}'",
    "typographic quotes": f"\u201c{KEY}\u201d",
    "German quotes": f"\u201e{KEY}\u201c",
    "spaces": f"  {KEY}\t",
    "no-break space": f"\u00a0{KEY}",
    "zero width": f"{KEY}\u200b",
    "all of them": f"\ufeff '{KEY}'\r\n",
}
INSIDE = {
    "line end": f"{KEY[:20]}\r{KEY[20:]}",
    "space": f"{KEY[:20]} {KEY[20:]}",
    "byte order mark": f"{KEY[:3]}\ufeff{KEY[3:]}",
    "umlaut": f"{KEY}ü",
    "ellipsis": "ps_5265cab4cfd7_\u2026",
    "lone surrogate": f"{KEY[:20]}\udcff{KEY[20:]}",
}


@pytest.mark.parametrize("written", AROUND.values(), ids=AROUND)
def test_what_is_around_a_key_is_not_sent(written: str) -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(200, json={})

    with Client("http://pets", api_key=written, transport=httpx.MockTransport(answer)) as client:
        client.stats()
    assert sent == [f"Bearer {KEY}"]


@pytest.mark.parametrize("written", AROUND.values(), ids=AROUND)
def test_the_server_ignores_it_too(written: str) -> None:
    assert split_key(written) == ("5265cab4cfd7", SECRET)


@pytest.mark.parametrize("written", INSIDE.values(), ids=INSIDE)
def test_a_key_that_cannot_be_one_is_named_and_not_shown(written: str) -> None:
    with pytest.raises(ConfigurationError, match=r"API key cannot be used: .* U\+") as caught:
        Client("http://pets", api_key=written)
    assert SECRET[:8] not in str(caught.value)
    assert SECRET[-8:] not in str(caught.value)


@pytest.mark.parametrize("written", [None, "", " \r\n", '""'])
def test_an_empty_key_is_none(written: str | None) -> None:
    with Client("http://pets", api_key=written) as client:
        assert "authorization" not in client._http.headers


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (AROUND["all of them"], None),
        (INSIDE["line end"], "U+000D"),
        (INSIDE["umlaut"], "U+00FC"),
    ],
)
def test_a_command_says_what_is_wrong_and_nothing_of_the_key(
    server_url: str, written: str, words: str | None
) -> None:
    ran = petsearch("search", "cat", "--api", server_url, env={"PETSEARCH_API_KEY": written})
    said = ran.stdout + ran.stderr
    assert SECRET[-8:] not in said
    assert "Traceback" not in said
    assert "No petsearch server" not in said
    assert ran.returncode == (0 if words is None else 1)
    assert words is None or words in ran.stderr
