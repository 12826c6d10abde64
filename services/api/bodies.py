"""How large the body of each route may be, and how much of it is held in memory.

JSON is parsed on the event loop, so its limits are small: those of the largest body that makes
sense. Larger lists are uploaded as files. Photos and archives come as forms: see
services/http/forms.py.
"""

from collections.abc import Callable, Mapping

from starlette.types import Scope

from petsearch.settings import Limits
from services.api.authorisation import AccessTable
from services.http.forms import FIELDS_BYTES, FORMS, is_multipart, type_of

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
HELD_BYTES = 64 * _KB * _KB
"""Of all bodies that are held in memory at a time, but for forms: see services/http/forms.py."""


def _is_read(scope: Scope) -> bool:
    """Whether any route reads bodies of this type."""
    kind = type_of(scope)
    return kind in ("", *FORMS) or "json" in kind


def body_sizes(table: AccessTable, limits: Limits) -> Callable[[Scope], int]:
    """How many bytes the body of a request may have, by its scope."""

    def largest(scope: Scope) -> int:
        route = table.route_of(scope["method"], scope["path"])
        if is_multipart(scope):
            if route in MULTIPART:
                return limits.request_bytes
            if route in QUERY_PHOTOS:
                return limits.image_bytes + FIELDS_BYTES
        elif route in MULTIPART | QUERY_PHOTOS and not _is_read(scope):
            return limits.request_bytes  # refused with what to send instead
        return JSON_BYTES.get(route, _OTHER_BYTES)

    return largest
