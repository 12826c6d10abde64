"""Forms: what they may take of a process's memory and open files, and how they are read.

Starlette's parser holds fields in memory until a request ends, and each larger file of a form as
an open temporary file. A form whose end never comes holds them for as long as its bytes trickle in,
so both are counted: in a form, for a client, and in all.
"""

import re
import resource
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from email.errors import HeaderParseError
from email.header import decode_header
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import HTTPException, Request, Response
from fastapi.params import Form
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Scope

from services.http.forwarded import client_of

MULTIPART = "multipart/form-data"
FORMS = (MULTIPART, "application/x-www-form-urlencoded")
FIELDS_BYTES = 512 * 1024
"""Of what is no file in a form, headers of its parts included."""
SPOOLED_BYTES = 16 * 1024
"""Of a file; a larger one is a temporary file."""
_MOST_FILES, _MOST_FIELDS = 128, 64
HELD_BYTES = 64 << 20
"""Of all forms that are in memory at a time."""
_CHARSETS = frozenset(
    ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin-1", "latin1")
)
"""Decoding others can take a time that grows with the square of a field, and Python keeps each
name that it looks up."""
_LONGEST_CHARSET = 20
_RETRY_AFTER_S = "1"
_ALL = "all"
_BEFORE = rb"""(?:[^"]|"(?:[^"\\]|\\.)*")*?;[ \t]*"""
"""A parameter, and not what looks like one in quotes."""
_EXTENDED_NAME = re.compile(
    _BEFORE + rb"""filename\*[ \t]*=[ \t]*utf-8'[^';"]*'([^;"\s]+)""", re.IGNORECASE
)
_ENCODED_NAME = re.compile(
    _BEFORE + rb"""filename[ \t]*=[ \t]*"?(=\?utf-8\?[bq]\?[^?"\s]+\?=)"?[ \t]*(?:;|$)""",
    re.IGNORECASE,
)
_LONGEST_DISPOSITION = 4096
"""Of a part whose file name is looked at in these ways."""


def type_of(scope: Scope) -> str:
    """The media type of a body, without its parameters."""
    return Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()


def is_multipart(scope: Scope) -> bool:
    """Whether a body is a form with files."""
    return type_of(scope) == MULTIPART


class _InUse:
    """What the forms that are being read or answered take. One client may take half of it."""

    def __init__(self) -> None:
        self.bytes = Counter[str]()
        """By client, and of all under `_ALL`."""
        self.files = Counter[str]()

    def add(self, client: str, size: int, files: int) -> None:
        """Count more, or less."""
        for taken, more in ((self.bytes, size), (self.files, files)):
            for who in (client, _ALL):
                taken[who] += more
                if not taken[who]:
                    del taken[who]

    def check(self, client: str) -> None:
        """Raise 429 where that is too much."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most_files = sys.maxsize if limit == resource.RLIM_INFINITY else limit // 2
        for taken, most in ((self.bytes, HELD_BYTES), (self.files, most_files)):
            if taken[client] > most // 2 or taken[_ALL] > most:
                raise HTTPException(
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "Too many forms are being received; send this one again shortly.",
                    {"Retry-After": _RETRY_AFTER_S},
                )


IN_USE = _InUse()
"""Of this process, whose requests one event loop reads."""


class _CountedForm(MultiPartParser):
    """Counts what it keeps, until `release`."""

    spool_max_size = SPOOLED_BYTES

    def __init__(self, request: Request, stream: AsyncGenerator[bytes, None]) -> None:
        super().__init__(
            request.headers,
            stream,
            max_files=_MOST_FILES,
            max_fields=_MOST_FIELDS,
            max_part_size=FIELDS_BYTES,
        )
        self._client = client_of(request.scope)
        self._bytes = self._files = self._fields_bytes = self._part_bytes = 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._part_bytes = 0

    def on_headers_finished(self) -> None:
        part = self._current_part
        part.content_disposition = _with_plain_name(part.content_disposition)
        super().on_headers_finished()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_field(end - start)
        super().on_header_value(data, start, end)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        size = end - start
        if self._current_part.file is None:
            self._count_field(size)
        else:
            before, self._part_bytes = self._part_bytes, self._part_bytes + size
            if self._part_bytes <= SPOOLED_BYTES:
                self._take(size, 0)
            elif before <= SPOOLED_BYTES:  # it moves to the disk
                self._take(-before, 1)
        super().on_part_data(data, start, end)

    def release(self) -> None:
        """Nothing of the form is kept any more."""
        IN_USE.add(self._client, -self._bytes, -self._files)

    def _count_field(self, size: int) -> None:
        self._fields_bytes += size
        if self._fields_bytes > FIELDS_BYTES:
            raise MultiPartException(
                f"The fields of the form have more than {FIELDS_BYTES // 1024} KB."
            )
        self._take(size, 0)

    def _take(self, size: int, files: int) -> None:
        self._bytes += size
        self._files += files
        IN_USE.add(self._client, size, files)
        IN_USE.check(self._client)


class _FormRequest(Request):
    """Reads a form by `_CountedForm`."""

    counted: _CountedForm | None = None

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body; the last part of a form without its end would be missing without a word."""
        if not is_multipart(self.scope):
            async for block in super().stream():
                yield block
            return
        _, options = parse_options_header(self.headers.get("content-type"))
        end = b"--" + options.get(b"boundary", b"") + b"--"
        tail, has_ended = b"", False
        async for block in super().stream():
            seen = tail + block  # the boundary may lie across two blocks
            has_ended, tail = has_ended or end in seen, seen[1 - len(end) :]
            yield block
        if not has_ended:
            detail = "The form is cut off: its closing boundary is missing."
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)

    async def _get_form(self, **options: Any) -> FormData:
        if self._form is not None or not is_multipart(self.scope):
            return await super()._get_form(**options)
        _check_charset(self.headers["content-type"])
        async with aclosing(self.stream()) as stream:
            self.counted = _CountedForm(self, stream)
            try:
                self._form = await self.counted.parse()
            except MultiPartException as error:
                raise HTTPException(HTTPStatus.BAD_REQUEST, error.message) from error
        return self._form


if not hasattr(Request, "_get_form"):
    # It would never be called, and no form would be counted.
    raise ImportError(
        "This version of Starlette is not supported: constraints.txt names one that is."
    )


class FormRoute(APIRoute):
    """A route whose forms are counted."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI documents it for requests of another class."""
        handle = super().get_route_handler()

        async def handle_counted(request: Request) -> Response:
            if isinstance(getattr(self.body_field, "field_info", None), Form):
                _check_is_form(request.scope)
            form_request = _FormRequest(request.scope, request.receive)
            try:
                return await handle(form_request)
            finally:
                if form_request.counted is not None:
                    form_request.counted.release()

        return handle_counted


def _check_is_form(scope: Scope) -> None:
    kind = type_of(scope)
    if kind not in ("", *FORMS):
        detail = f"A body of type {kind[:60]} is not read here: send a form ({MULTIPART})."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _check_charset(content_type: str) -> None:
    _, options = parse_options_header(content_type)
    given = options.get(b"charset", b"utf-8")[:_LONGEST_CHARSET].decode("latin-1")
    if given.lower() not in _CHARSETS:
        detail = f"The charset {given!r} is not read in forms: send them in UTF-8."
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _with_plain_name(disposition: bytes | None) -> bytes | None:
    """A part's `Content-Disposition` with the name that a file has in UTF-8, if it is coded.

    Browsers do not code it, and RFC 7578 forbids to, but .NET, PowerShell, Spring and old versions
    of urllib3 do: as `filename*` (RFC 5987), as a word of RFC 2047, or as both.
    """
    if disposition is None or len(disposition) > _LONGEST_DISPOSITION:
        return disposition
    name: bytes | str
    if found := _EXTENDED_NAME.match(disposition):
        name = unquote_to_bytes(found[1])
    elif found := _ENCODED_NAME.match(disposition):
        try:
            ((name, _),) = decode_header(found[1].decode("ascii"))
        except (HeaderParseError, ValueError):
            return disposition
    else:
        return disposition
    escaped = (name if isinstance(name, bytes) else name.encode()).replace(b"\\", rb"\\")
    # Of two, the parser takes the last.
    return b'%b; filename="%b"' % (disposition, escaped.replace(b'"', rb"\""))
