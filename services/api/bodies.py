"""How large the body of each route may be, and how much of it is held in memory.

JSON is parsed on the event loop, so its limits are small: those of the largest body that makes
sense. Larger lists are uploaded as files. Photos and archives come as multipart, whose files are
spooled to disk.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser
from starlette.types import Scope

from petsearch.settings import Limits
from services.api.authorisation import AccessTable

_KB = 1024
JSON_BYTES: Mapping[str, int] = {
    "POST /v1/keys": 16 * _KB,
    "PATCH /v1/images/{image_id}": 512 * _KB,
    "POST /v1/search": 512 * _KB,
    "POST /v1/jobs": 2048 * _KB,
    "POST /v1/jobs/{job_id}/known": 2048 * _KB,
}
"""By route, as services/api/authorisation.py names them; others take `_OTHER_BYTES`."""
_OTHER_BYTES = 4 * _KB
MULTIPART = frozenset({"POST /v1/images", "POST /v1/jobs/upload", "POST /v1/jobs/{job_id}/photos"})
QUERY_PHOTOS = frozenset({"POST /v1/search/image", "POST /v1/shared-searches"})
_FIELDS_BYTES = 512 * _KB
"""Of the form fields beside a photo."""
HELD_BYTES = 64 * _KB * _KB
"""Of all bodies that are held in memory at a time."""
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_SPOOLED_BYTES = 64 * _KB
_MOST_FILES, _MOST_FIELDS = 128, 64


def is_multipart(scope: Scope) -> bool:
    """Whether a body is a form with files."""
    return _type_of(scope) == _FORMS[0]


def _is_read(scope: Scope) -> bool:
    """Whether any route reads bodies of this type."""
    kind = _type_of(scope)
    return kind in ("", *_FORMS) or "json" in kind


def _type_of(scope: Scope) -> str:
    return Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()


def spool_uploads_to_disk() -> None:
    """Make the process hold no more than a little of each part of a form in memory."""
    MultiPartParser.spool_max_size = _SPOOLED_BYTES


def body_sizes(table: AccessTable, limits: Limits) -> Callable[[Scope], int]:
    """How many bytes the body of a request may have, by its scope."""

    def largest(scope: Scope) -> int:
        route = table.route_of(scope["method"], scope["path"])
        if is_multipart(scope):
            if route in MULTIPART:
                return limits.request_bytes
            if route in QUERY_PHOTOS:
                return limits.image_bytes + _FIELDS_BYTES
        elif route in MULTIPART | QUERY_PHOTOS and not _is_read(scope):
            return limits.request_bytes  # refused with what to send instead
        return JSON_BYTES.get(route, _OTHER_BYTES)

    return largest


class _BoundedRequest(Request):
    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body; the last part of a form without its end would be missing without a word."""
        _, options = parse_options_header(self.headers.get("content-type"))
        end = b"--" + options.get(b"boundary", b"") + b"--"
        tail, has_ended = b"", not is_multipart(self.scope)
        async for block in super().stream():
            seen = tail + block  # the boundary may lie across two blocks
            has_ended, tail = has_ended or end in seen, seen[1 - len(end) :]
            yield block
        if not has_ended:
            detail = "The form is cut off: its closing boundary is missing."
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)

    def form(self, **_: Any) -> Any:
        return super().form(
            max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=_FIELDS_BYTES
        )


def _check_is_form(scope: Scope) -> None:
    kind = _type_of(scope)
    if kind not in ("", *_FORMS):
        detail = f"A body of type {kind[:60]} is not read here: send a form ({_FORMS[0]})."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


class FormRoute(APIRoute):
    """A route whose forms have few fields: parts without a file are held in memory."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI documents it for requests of another class."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            if isinstance(getattr(self.body_field, "field_info", None), Form):
                _check_is_form(request.scope)
            return await handle(_BoundedRequest(request.scope, request.receive))

        return handle_bounded
