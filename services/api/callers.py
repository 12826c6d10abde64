"""Who calls: whoever holds a key, by `Authorization: Bearer` or the page's cookie, or nobody known.

Keys are asked for unless `PETSEARCH_ALLOW_NO_KEYS` is set, or the server is bound to loopback and
no key was ever made. A key that was revoked counts as made: taking the last key away must not
open the door.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, TypeVarTuple

from anyio import CapacityLimiter, move_on_after
from anyio.to_thread import run_sync
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.types import Scope as Connection

from petsearch.access import KeyRing, KnownKeys
from petsearch.domain.api_keys import ApiKey, Scope
from petsearch.domain.errors import Unavailable
from services.http.forwarded import client_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SESSION_COOKIE = "petsearch_session"
_SOON_S = 0.3


@dataclass(frozen=True)
class Caller:
    """Who sent a request."""

    address: str
    is_free: bool = False
    """No keys are asked for: whoever reaches the server may do everything."""
    key: ApiKey | None = None
    showed_wrong_key: bool = False
    """As a bearer; a cookie that is not good any more is only a visitor's without a key."""

    def allows(self, scope: Scope) -> bool:
        """Whether it may do what takes `scope`."""
        return self.is_free or (self.key is not None and self.key.allows(scope))

    @property
    def is_known(self) -> bool:
        """Whether it is no visitor, who may show a key that stands in a page for all to read."""
        return self.is_free or (self.key is not None and not self.key.is_published)

    @property
    def sees_places(self) -> bool:
        """Whether it sees exact places; else the cells that they are in."""
        return self.allows(Scope.PLACES)

    @property
    def counted_as(self) -> str:
        """Whose limits its requests count against: its key's, or a visitor's address's."""
        if self.key is None or self.key.is_published:
            return f"address:{self.address}"
        return f"key:{self.key.key_id}"


def caller_of(request: Request) -> Caller:
    """Who sent a request, as the middleware found out."""
    caller = request.scope["caller"]
    assert isinstance(caller, Caller)
    return caller


@dataclass(frozen=True, kw_only=True)
class Callers:
    """Tells who sent a request."""

    ring: KeyRing
    allow_no_keys: bool
    """`PETSEARCH_ALLOW_NO_KEYS`."""
    is_on_loopback: bool
    """Nobody needs a key until one was made."""
    clock: Callable[[], datetime]
    threads: CapacityLimiter
    """Threads that slow routes do not take."""

    async def identify(self, scope: Connection) -> Caller:
        """Who sent the request; reads no more of it than the headers.

        Raises:
            Unavailable: keys were never read, or a session cannot be looked up now.
        """
        address = client_of(scope)
        if self.allow_no_keys:
            return Caller(address, is_free=True)
        known = await self._known()
        if not known.by_id and self.is_on_loopback:
            return Caller(address, is_free=True)
        return await self._by_credentials(scope, known, address)

    async def identify_soon(self, scope: Connection) -> Caller | None:
        """Who sent the request, for routes that answer also while keys cannot be looked up."""
        caller = None
        with move_on_after(_SOON_S), suppress(Unavailable):
            caller = await self.identify(scope)
        return caller

    async def still_valid(self, caller: Caller, scope: Connection) -> bool:
        """Whether who began a long answer may go on reading it.

        A ticket may end meanwhile, its key may not.
        """
        try:
            if caller.key is None or _ticket_of(scope) is None:
                now = await self.identify(scope)
                return now.is_free or (now.key is None) == (caller.key is None)
            known = await self._known()
            return known.valid(caller.key.key_id, self.clock()) is not None
        except Unavailable:
            return True  # as requests that begin now

    async def _by_credentials(self, scope: Connection, known: KnownKeys, address: str) -> Caller:
        headers = Headers(scope=scope)
        scheme, _, presented = headers.get("authorization", "").partition(" ")
        token, ticket = cookie_of(headers), _ticket_of(scope)
        key = None
        if scheme.lower() == "bearer":
            key = known.find(presented.strip(), self.clock())
            if key is None:
                return Caller(address, showed_wrong_key=True)
        elif ticket is not None:
            key = await self._in_thread(self.ring.key_of_ticket, ticket, scope["path"])
            if key is None:
                return Caller(address, showed_wrong_key=True)
        elif token is not None:
            key = await self._in_thread(self.ring.key_of_session, token)
        if key is not None and self.ring.is_use_to_be_noted(key):
            await self._in_thread(self.ring.note_use, key)
        return Caller(address, key=key)

    async def _known(self) -> KnownKeys:
        # What is fresh costs no thread.
        fresh = self.ring.fresh()
        return await self._in_thread(self.ring.read) if fresh is None else fresh

    async def _in_thread(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        return await run_sync(function, *arguments, limiter=self.threads, abandon_on_cancel=True)


def _ticket_of(scope: Connection) -> str | None:
    """What stands for a key in the address of a stream, which browsers request without headers."""
    if not scope["path"].endswith("/events"):
        return None
    return QueryParams(scope["query_string"]).get("ticket")


def cookie_of(headers: Headers) -> str | None:
    """The session's token in the cookies of a request, if there is one.

    `http.cookies` is not used: before Python 3.11.10 it takes a minute for a cookie of 120 KB.
    """
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == SESSION_COOKIE:
            return value.strip('"')
    return None
