"""Query strings: decoded strictly, and in reads without the parameters that say nothing."""

import re
from urllib.parse import parse_qsl, urlencode

from starlette.types import Receive, Scope, Send

from petsearch.domain.errors import InvalidInput
from petsearch.domain.visible_text import is_left_out
from services.http.asgi import HttpMiddleware

READS = ("GET", "HEAD")
_AS_SENT = "query_string_as_sent"
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class AbsentParameters(HttpMiddleware):
    """Removes parameters without a value from reads: a form's empty field filters nothing."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in READS and scope["query_string"]:
            scope[_AS_SENT] = scope["query_string"]
            said = [
                (name, value)
                for name, value in _parsed(scope["query_string"], errors="replace")
                if not is_left_out(name, value)
            ]
            scope["query_string"] = urlencode(said).encode()
        await self.app(scope, receive, send)


def query_as_sent(scope: Scope) -> list[tuple[str, str]]:
    """Names and values of a query string, those without a value too.

    Raises:
        InvalidInput: its encoding is broken.
    """
    raw: bytes = scope.get(_AS_SENT, scope["query_string"])
    try:
        if _BROKEN_ESCAPE.search(raw):
            raise ValueError("a % without two hex digits")
        return _parsed(raw, errors="strict")
    except ValueError as error:
        raise InvalidInput(
            "The query has an invalid percent-encoding; encode values as UTF-8, and % as %25."
        ) from error


def _parsed(raw: bytes, errors: str) -> list[tuple[str, str]]:
    return parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors=errors)
