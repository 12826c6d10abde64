"""Who calls: whoever holds a key, by `Authorization: Bearer` or the page's cookie, or nobody known.

Keys are asked for unless `PETSEARCH_ALLOW_NO_KEYS` is set, or the server is bound to loopback and
no key was ever made. A key that was revoked counts as made: taking the last key away must not
open the door.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.cookies import CookieError, SimpleCookie

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Scope as Connection

from petsearch.access import KeyRing, KnownKeys
from petsearch.domain.api_keys import ApiKey
from services.http.proxies import Networks, client_of

SESSION_COOKIE = "petsearch_session"


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    address: str
    is_free: bool = False
    """No keys are asked for: whoever reaches the server may do everything."""
    key: ApiKey | None = None
    showed_wrong_key: bool = False
    """As a bearer; a cookie that is not good any more is only a visitor's without a key."""


@dataclass(frozen=True, kw_only=True)
class Callers:
    """Tells who sent a request."""

    ring: KeyRing
    allow_no_keys: bool
    """`PETSEARCH_ALLOW_NO_KEYS`."""
    is_on_loopback: bool
    """Nobody needs a key until one was made."""
    trusted_proxies: Networks
    clock: Callable[[], datetime]

    async def identify(self, scope: Connection) -> Caller:
        """Who sent the request; reads no more of it than the headers.

        Raises:
            Unavailable: keys were never read, or a session cannot be looked up now.
        """
        address = client_of(scope, self.trusted_proxies)
        if self.allow_no_keys:
            return Caller(address, is_free=True)
        # What is fresh costs no thread.
        known = self.ring.fresh()
        if known is None:
            known = await run_in_threadpool(self.ring.read)
        if not known.by_id and self.is_on_loopback:
            return Caller(address, is_free=True)
        return await self._by_credentials(scope, known, address)

    async def _by_credentials(self, scope: Connection, known: KnownKeys, address: str) -> Caller:
        headers = Headers(scope=scope)
        scheme, _, presented = headers.get("authorization", "").partition(" ")
        token = cookie_of(headers)
        key = None
        if scheme.lower() == "bearer":
            key = known.find(presented.strip(), self.clock())
            if key is None:
                return Caller(address, showed_wrong_key=True)
        elif token is not None:
            key = await run_in_threadpool(self.ring.key_of_session, token)
        if key is not None and self.ring.is_use_to_be_noted(key):
            await run_in_threadpool(self.ring.note_use, key)
        return Caller(address, key=key)


def cookie_of(headers: Headers) -> str | None:
    """The session's token in the cookies of a request, if there is one."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return cookies[SESSION_COOKIE].value if SESSION_COOKIE in cookies else None
