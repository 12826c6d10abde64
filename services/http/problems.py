"""Errors over HTTP: RFC 9457 problem documents, and the table from errors to statuses."""

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from petsearch.domain import JsonDict
from petsearch.domain.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    ModelNotLoaded,
    NotAnImage,
    NotFound,
    Outdated,
    Overloaded,
    PetsearchError,
    StorageFull,
    TooLarge,
    TooSlow,
    Unavailable,
    shortage_of,
)
from petsearch.domain.validation_messages import messages

STATUS_OF: Mapping[type[PetsearchError], HTTPStatus] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    NotAnImage: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Outdated: HTTPStatus.PRECONDITION_FAILED,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    Overloaded: HTTPStatus.TOO_MANY_REQUESTS,
    StorageFull: HTTPStatus.INSUFFICIENT_STORAGE,
    ConfigurationError: HTTPStatus.INTERNAL_SERVER_ERROR,
    PetsearchError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""A class that is not here has the status of its nearest base."""

_DETAILS: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "The body cannot be read. Send JSON in UTF-8, or multipart/form-data "
    "with its boundary, of at most 128 files and 64 fields of 512 KB in all.",
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
}
"""Instead of the words of FastAPI and Starlette, which raise these; we raise our own errors."""

MEDIA_TYPE = "application/problem+json"


TYPE_OF: Mapping[type[PetsearchError], str] = {ModelNotLoaded: "model_not_loaded"}
"""Of errors that a status alone does not tell from others."""


def problem(
    status: int,
    detail: str,
    request_id: str,
    headers: Mapping[str, str] | None = None,
    *,
    kind: str = "about:blank",
) -> JSONResponse:
    """A problem document (RFC 9457); `kind` is its type."""
    body: JsonDict = {
        "type": kind,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    return JSONResponse(body, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def add_problem_handlers(app: FastAPI) -> None:
    """Every error that `app` expects becomes a problem document; `RequestContext` has the rest."""
    app.add_exception_handler(PetsearchError, _petsearch_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def status_of(error: PetsearchError) -> HTTPStatus:
    """The HTTP status of an error, by its nearest class in the table."""
    return next(STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)


def problem_of(error: PetsearchError, request_id: str) -> JSONResponse:
    """The problem document of a petsearch error."""
    headers = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    kind = TYPE_OF.get(type(error), "about:blank")
    return problem(status_of(error), error.detail, request_id, headers, kind=kind)


def unexpected_problem(error: Exception, request_id: str) -> JSONResponse:
    """The problem document of an error of the machine or of the program."""
    if (shortage := shortage_of(error)) is not None:
        return problem_of(shortage, request_id)
    detail = "Something went wrong here; the log has the details under this request_id."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, request_id)


def _petsearch_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PetsearchError)
    return problem_of(error, request_id_of(request))


def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The first part of a place is "query", "body" and the like.
    errors = ({**entry, "loc": entry["loc"][1:]} for entry in error.errors())
    detail = f"{'; '.join(messages(cast(Iterable[ErrorDetails], errors)))}."
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, request_id_of(request))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.NO_CONTENT:
        return Response(status_code=error.status_code)
    detail = _DETAILS.get(error.status_code, str(error.detail))
    return problem(error.status_code, detail, request_id_of(request), error.headers)


def request_id_of(request: Request) -> str:
    """The id that `RequestContext` gave the request."""
    return str(request.scope.get("request_id", ""))
