"""The page's session: a key is traded for a cookie that scripts cannot read."""

from http import HTTPStatus

from fastapi import HTTPException, Request, Response

from petsearch.domain.api_keys import ApiKey
from services.api.callers import SESSION_COOKIE, caller_of, cookie_of
from services.api.dependencies import ServicesDep
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.keys import SessionBody, SessionRequest
from services.http.forwarded import public_path

router = Router(prefix="/v1/session", tags=["keys"])

SESSION_S = 12 * 3600
"""A working day; a key that ends before ends its sessions."""


@router.get("", summary="Who am I?", responses=errors())
def get_session(services: ServicesDep, request: Request) -> SessionBody:
    """The key this request came with, by cookie or by header, and whether one is needed."""
    caller = caller_of(request)
    return _body(services, caller.key, keys_needed=not caller.is_free)


@router.post("", summary="Sign in", responses=errors(writes=True, body=True))
def open_session(
    services: ServicesDep, request: Request, response: Response, body: SessionRequest
) -> SessionBody:
    """Trade a key for a cookie. The cookie is no key: it ends after 12 hours, or by signing out."""
    key = services.keys.read().find(body.api_key.get_secret_value(), services.clock())
    if key is None:
        raise HTTPException(
            HTTPStatus.UNAUTHORIZED, "The key is not valid: it is unknown, revoked or expired."
        )
    if key.is_published:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "A key bound to origins cannot be used to sign in."
        )
    token = services.keys.open_session(key, SESSION_S)
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
        path=public_path("/"),
    )
    return _body(services, key, keys_needed=not services.settings.allow_no_keys)


@router.delete("", status_code=204, summary="Sign out", responses=errors(writes=True))
def close_session(services: ServicesDep, request: Request, response: Response) -> None:
    """End the session, on the server as in the browser."""
    token = cookie_of(request.headers)
    if token is not None:
        services.keys.close_session(token)
    response.delete_cookie(SESSION_COOKIE, public_path("/"), httponly=True, samesite="strict")


def _body(services: ServicesDep, key: ApiKey | None, *, keys_needed: bool) -> SessionBody:
    known = SessionBody(
        keys_needed=keys_needed, anonymous_search=services.settings.anonymous_search
    )
    if key is None:
        return known
    said = {"key_id": key.key_id, "name": key.name, "scopes": sorted(key.scopes)}
    return known.model_copy(update=said)
