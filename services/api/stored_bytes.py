"""Objects of the store over HTTP: validators, one range, and the same for every store."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from petsearch.catalogue import ImageFile
from services.api.conditions import is_named
from services.http.problems import problem, request_id_of

_BLOCK_BYTES = 256 * 1024
_WHOLE_BYTES = 1024 * 1024
"""Up to this size it is read before the answer begins, so that an error can still be told."""
_ONE_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.IGNORECASE)


def stored_bytes(
    file: ImageFile, request: Request, headers: Mapping[str, str], media_type: str
) -> Response:
    """An object as an answer to GET or HEAD: 200, 206 of a range, 304, or 416."""
    etag, size_bytes = _etag_of(file), file.size_bytes
    headers = {**headers, "ETag": etag, "Accept-Ranges": "bytes"}
    if is_named(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    part = wanted_part(request, etag, size_bytes)
    if part is not None and not part:
        detail = f"The range is outside of the {size_bytes} bytes."
        beyond = {"Content-Range": f"bytes */{size_bytes}"}
        return problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, detail, request_id_of(request), beyond
        )
    status = HTTPStatus.OK
    if part is not None:
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size_bytes}"
    part = part or range(size_bytes)
    headers["Content-Length"] = str(len(part))
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    blocks = _read(file, part)
    if len(part) <= _WHOLE_BYTES:
        return Response(b"".join(blocks), status, headers, media_type)
    return StreamingResponse(blocks, status, headers, media_type)


def wanted_part(request: Request, etag: str, size_bytes: int) -> range | None:
    """The range that is asked for, cut to the object; an empty one lies outside of it.

    None asks for everything: no range, several, one in other words, or one of another version
    (`If-Range`). A server may do so, and HEAD has no ranges (RFC 9110, 14.2).
    """
    if request.method != "GET":
        return None
    found = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if found is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return range(max(0, size_bytes - int(suffix)), size_bytes)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last or size_bytes) + 1, size_bytes))


def _etag_of(file: ImageFile) -> str:
    """A strong ETag: copies are made anew under their keys (`petsearch reconcile --pixels`)."""
    return f'"{file.key}-{file.size_bytes:x}-{file.modified_at.timestamp():.6f}"'


def _read(file: ImageFile, part: range) -> Iterator[bytes]:
    left = len(part)
    with file.open(part.start) as stream:
        while left > 0 and (block := stream.read(min(_BLOCK_BYTES, left))):
            left -= len(block)
            yield block
