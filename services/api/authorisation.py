"""Who may call what: one table of all routes, and the middleware that holds to it.

A route that is not in the table is open to the scope `admin` alone, so that one that was
forgotten is closed; tests/services/test_authorisation.py names it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial
from http import HTTPStatus
from pathlib import Path

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from petsearch.domain.api_keys import ApiKey, Scope
from petsearch.domain.errors import PetsearchError
from petsearch.observability import add_log_fields
from services.api.callers import Caller, Callers, caller_of
from services.api.rate_limits import RateLimits, Verdict
from services.http.problems import problem, problem_of


class Access(StrEnum):
    """What a route asks of its caller."""

    PUBLIC = "public"
    """Nothing: health, the page's files, signing in."""
    OPEN_SEARCH = "open search"
    """The scope search, or nothing where searching is open to everybody."""
    SEARCH = "search"
    PLACES = "places"
    INGEST = "ingest"
    DELETE = "delete"
    ADMIN = "admin"

    @property
    def scope(self) -> Scope | None:
        """The scope it takes; None where it takes none."""
        if self is Access.PUBLIC:
            return None
        return Scope.SEARCH if self is Access.OPEN_SEARCH else Scope(self.value)


_P, _O, _S = Access.PUBLIC, Access.OPEN_SEARCH, Access.SEARCH
_I, _D, _A = Access.INGEST, Access.DELETE, Access.ADMIN

ROUTES: Mapping[str, Access] = {
    "GET /livez": _P,
    "GET /readyz": _P,
    "GET /openapi.json": _P,
    # In standalone; elsewhere it has a port of its own, which is not public.
    "GET /metrics": _A,
    "GET /v1/session": _P,
    "POST /v1/session": _P,
    "DELETE /v1/session": _P,
    "GET /v1/keys": _A,
    "POST /v1/keys": _A,
    "DELETE /v1/keys/{key_id}": _A,
    "GET /v1/models": _A,
    "POST /v1/models/{model_id}/promote": _A,
    "POST /v1/models/rollback": _A,
    "DELETE /v1/models/{model_id}/collection": _A,
    "POST /v1/reindex": _A,
    "GET /search": _O,
    "GET /images/{filename:path}": _O,
    "GET /v1/search": _O,
    "POST /v1/search": _O,
    "POST /v1/search/image": _O,
    "POST /v1/shared-searches": _O,
    "GET /v1/shared-searches/{share_id}": _O,
    "GET /v1/shared-searches/{share_id}/photo": _O,
    # Takes the token that came with it, or an administrator.
    "DELETE /v1/shared-searches/{share_id}": _O,
    "GET /v1/facets": _O,
    "GET /v1/stats": _O,
    "GET /v1/images": _O,
    "GET /v1/images/ids": _O,
    "GET /v1/images/{image_id}": _O,
    "GET /v1/images/{image_id}/similar": _O,
    "GET /v1/images/{image_id}/display": _O,
    "GET /v1/images/{image_id}/thumbnail": _O,
    # As it was sent, with the place where it was taken: never without a key.
    "GET /v1/images/{image_id}/original": Access.PLACES,
    "GET /v1/duplicates": _S,
    "GET /v1/images/{image_id}/duplicates": _S,
    "POST /v1/images": _I,
    "PATCH /v1/images/{image_id}": _I,
    "DELETE /v1/images": _D,
    "DELETE /v1/images/{image_id}": _D,
    "GET /v1/limits": _I,
    "GET /v1/jobs": _I,
    "POST /v1/jobs": _I,
    "POST /v1/jobs/upload": _I,
    "GET /v1/jobs/{job_id}": _I,
    # Forgets a job; the images stay.
    "DELETE /v1/jobs/{job_id}": _I,
    "GET /v1/jobs/{job_id}/events": _I,
    "POST /v1/jobs/{job_id}/events/ticket": _I,
    "GET /v1/jobs/{job_id}/items": _I,
    "POST /v1/jobs/{job_id}/photos": _I,
    "POST /v1/jobs/{job_id}/known": _I,
    "POST /v1/jobs/{job_id}/seal": _I,
    "POST /v1/jobs/{job_id}/pause": _I,
    "POST /v1/jobs/{job_id}/resume": _I,
    "POST /v1/jobs/{job_id}/cancel": _I,
    "POST /v1/jobs/{job_id}/retry": _I,
}
"""By method and path template, as the routers have them."""

METHODS: dict[str, set[str]] = {}
"""By path template. HEAD is answered wherever GET is."""
for _method, _path in map(str.split, ROUTES):
    METHODS.setdefault(_path, set()).update(["GET", "HEAD"] if _method == "GET" else [_method])

_UNCOUNTED = re.compile(r"/v1/images/[^/]+/(display|thumbnail)")
"""Pictures are not counted: a page of results has dozens, and browsers keep them."""
_SEARCHES_BY_POST = frozenset({"POST /v1/search", "POST /v1/search/image"})
_SESSION_PATH = "/v1/session"
_READINESS_PATH = "/readyz"
_POLICY_VIOLATION = 1008
_LONGEST_CACHED = 500
_CHALLENGE = 'Bearer realm="petsearch"'


class AccessTable:
    """Looks a request up in the table, and among the files of the page."""

    def __init__(self, routes: Mapping[str, Access] = ROUTES, web_dir: Path | None = None) -> None:
        self._routes = routes
        self._patterns = [
            (name.split()[0], compile_path(name.split()[1])[0], name)
            for name in routes
            if "{" in name
        ]
        self._page = _page_paths(web_dir)
        self._cached = lru_cache(maxsize=4096)(self._access)

    def is_read(self, method: str, path: str) -> bool:
        """Whether a request changes nothing: pages of other sites may send it."""
        return method in ("GET", "HEAD", "OPTIONS") or f"{method} {path}" in _SEARCHES_BY_POST

    def access(self, method: str, path: str) -> Access:
        """What a request asks of its caller. Long paths, which no route has, are not kept."""
        is_long = len(path) > _LONGEST_CACHED
        return self._access(method, path) if is_long else self._cached(method, path)

    def _access(self, method: str, path: str) -> Access:
        listed = self._routes.get(self.route_of(method, path))
        if listed is not None:
            return listed
        return Access.PUBLIC if self.is_of_page(method, path) else Access.ADMIN

    def is_of_page(self, method: str, path: str) -> bool:
        """Whether a request is for a file of the page."""
        return method in ("GET", "HEAD") and self._page.fullmatch(path) is not None

    def route_of(self, method: str, path: str) -> str:
        """The name in the table of the route that a request is for, or what it would be."""
        method = "GET" if method == "HEAD" else method
        name = f"{method} {path}"
        if name in self._routes and "{" not in path:
            return name
        matching = (
            name for m, pattern, name in self._patterns if m == method and pattern.match(path)
        )
        return next(matching, name)


def _page_paths(web_dir: Path | None) -> re.Pattern[str]:
    """The addresses of the page's files: what lies in the folder when the server starts."""
    if web_dir is None:
        return re.compile(r"(?!)")
    names = [
        re.escape(entry.name) + (r"/[^.].*" if entry.is_dir() else "")
        for entry in web_dir.iterdir()
        if not entry.name.startswith(".")
    ]
    return re.compile(f"/|/({'|'.join(names)})")


@dataclass(eq=False)
class Authorisation:
    """Refuses, before a byte of the body is read, who may not call a route or calls too often."""

    app: ASGIApp
    callers: Callers
    limits: RateLimits
    table: AccessTable
    anonymous_search: bool
    """Routes of `Access.OPEN_SEARCH` take no key."""

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "websocket":  # there are none; one that is added needs a place here
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return
        is_request = scope["type"] == "http"
        access = self.table.access(scope["method"], scope["path"]) if is_request else None
        # Health and the page answer whatever becomes of Redis; signing in is counted.
        if access is None or (access is Access.PUBLIC and scope["path"] != _SESSION_PATH):
            if access and scope["path"] == _READINESS_PATH:
                scope["caller"] = await self.callers.identify_soon(scope)
            await self.app(scope, receive, send)
            return
        request_id = scope.get("request_id", "")
        try:
            caller = await self.callers.identify(scope)
        except PetsearchError as error:
            await problem_of(error, request_id)(scope, receive, send)
            return
        scope["caller"] = caller
        scope["may_go_on"] = partial(self.callers.still_valid, caller, scope)
        if caller.is_free:
            await self.app(scope, receive, send)
            return
        if caller.key is not None:
            # For every line that is logged from here on; a request is a task of its own.
            add_log_fields(key_id=caller.key.key_id)
        is_counted = caller.showed_wrong_key or not _UNCOUNTED.fullmatch(scope["path"])
        verdict = await self.limits.take(caller) if is_counted else None
        refusal = _refused_by(verdict, request_id) or self._refusal(access, caller, scope)
        headers = verdict.headers if verdict is not None else {}
        # With a key, JSON holds what others must not see from a shared cache; pictures do not.
        has_more = caller.key is not None and is_counted
        is_private = access is Access.PUBLIC or has_more or not self._is_open(access)
        send = _with_headers(send, headers, varies=is_private or is_counted, is_private=is_private)
        await (refusal or self.app)(scope, receive, send)

    def _is_open(self, access: Access) -> bool:
        """Whether no key is needed."""
        is_open_search = access is Access.OPEN_SEARCH and self.anonymous_search
        return access is Access.PUBLIC or is_open_search

    def _refusal(
        self, access: Access, caller: Caller, connection: Connection
    ) -> JSONResponse | None:
        request_id = connection.get("request_id", "")
        if access is Access.PUBLIC:
            return None
        if caller.showed_wrong_key:
            challenge = {"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'}
            detail = "The key is not valid: it is unknown, revoked or expired."
            return problem(HTTPStatus.UNAUTHORIZED, detail, request_id, challenge)
        if caller.key is not None and caller.key.is_published:
            return self._refusal_of_published(access, caller.key, connection)
        if self._is_open(access):
            return None
        if caller.key is None:
            challenge = {"WWW-Authenticate": _CHALLENGE}
            detail = (
                "This takes a key: send it as 'Authorization: Bearer ps_…', or sign in. "
                "The command line has it from PETSEARCH_API_KEY."
            )
            return problem(HTTPStatus.UNAUTHORIZED, detail, request_id, challenge)
        assert access.scope is not None
        if not caller.key.allows(access.scope):
            detail = f"This takes a key with the scope {access.scope}, which yours has not."
            return problem(HTTPStatus.FORBIDDEN, detail, request_id)
        return None

    def _refusal_of_published(
        self, access: Access, key: ApiKey, connection: Connection
    ) -> JSONResponse | None:
        """A key bound to origins opens the reads of a search, to pages of these origins alone."""
        is_read = self.table.is_read(connection["method"], connection["path"])
        if access is not Access.OPEN_SEARCH or not is_read:
            detail = "A key bound to origins may only search."
        elif Headers(scope=connection).get("origin") not in key.origins:
            detail = f"This key is accepted only from pages of {', '.join(key.origins)}."
        else:
            return None
        return problem(HTTPStatus.FORBIDDEN, detail, connection.get("request_id", ""))


def require_scope(request: Request, scope: Scope) -> None:
    """Refuse a call that only turns out in its body to take more than its route does.

    Raises:
        HTTPException: 403, the caller's key has not that scope.
    """
    caller = caller_of(request)
    if not caller.allows(scope):
        detail = f"This takes a key with the scope {scope}, which yours has not."
        raise HTTPException(HTTPStatus.FORBIDDEN, detail)


def _refused_by(verdict: Verdict | None, request_id: str) -> JSONResponse | None:
    if verdict is None or verdict.allowance.is_granted:
        return None
    detail = f"More than {verdict.per_minute} requests in a minute. Wait as Retry-After says."
    return problem(HTTPStatus.TOO_MANY_REQUESTS, detail, request_id)


def _with_headers(
    send: Send, headers: Mapping[str, str], *, varies: bool, is_private: bool
) -> Send:
    """Adds `headers` to the answer; one that took a key is not for shared caches.

    Args:
        varies: another caller may be shown more or less at this address.
    """

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = MutableHeaders(scope=message)
            own.update(headers)
            if is_private:
                asked = own.get("cache-control", "no-store")
                own["Cache-Control"] = asked.replace("public", "private")
            if varies:
                own.add_vary_header("Authorization")
                own.add_vary_header("Cookie")
        await send(message)

    return send_with_headers
