"""The errors that routes document, in one table: RFC 9457 problem documents."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field

from services.http.problems import MEDIA_TYPE

PROBLEM = "Problem"
_REF = {"$ref": f"#/components/schemas/{PROBLEM}"}

_MEANINGS = {
    400: "The body cannot be read.",
    401: "No key was sent, or one that is unknown, revoked or expired.",
    403: "The key has not the scope for this, or a page of another site wants to write.",
    404: "There is no such thing.",
    405: "The method is none of this path's.",
    408: "The body came too slowly, or stalled; send it again.",
    409: "Its state forbids this now.",
    412: "It was changed since: `If-Match` names another state.",
    413: "More bytes, pixels or characters than allowed.",
    415: "The body is compressed; `Accept-Encoding` says which are taken.",
    416: "The range is outside of the bytes.",
    421: "This server does not serve the host that was asked for.",
    422: "What was sent cannot be used; `detail` says why.",
    429: "Too much is asked at once; try again after `Retry-After` seconds.",
    500: "Something went wrong here; the log has the details under `request_id`.",
    503: "A part does not answer; try again after `Retry-After` seconds.",
    507: "There is no space left.",
}
Responses = dict[int | str, dict[str, Any]]
"""As FastAPI takes them."""
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
_ALWAYS = (401, 403, 421, 422, 429, 500, 503)
_BODIES = (400, 408, 413, 415)
_WRITES = (507,)


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="A sentence for a person.")
    request_id: str = Field(description="Stands in the log, too.")


def errors(*statuses: int, writes: bool = False, body: bool = False) -> Responses:
    """The documented errors of a route: these, and those that every route of its kind may have.

    Args:
        writes: it changes something.
        body: it reads a body.
    """
    extra = (*(_WRITES if writes else ()), *(_BODIES if body else ()))
    return {status: _described(status) for status in sorted({*_ALWAYS, *extra, *statuses})}


def _described(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}. {_MEANINGS[status]}",
        "content": {MEDIA_TYPE: {"schema": _REF}},
    }
    if status in (429, 503):
        described["headers"] = _RETRY_AFTER
    return described
