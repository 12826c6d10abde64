"""The embedder service over HTTP: pixels and embeddings go as raw little-endian numbers."""

import contextvars
import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from pydantic import TypeAdapter

from petsearch.adapters.service_names import Lookup, ServiceNames, lookup_host
from petsearch.domain import Embeddings, ModelInfo, Pixels, Priority, deadline
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import Conflict, InvalidInput, Overloaded, TooLarge, Unavailable
from petsearch.failover import ONLY, FailoverTransport, retry_after_s, split_addresses
from petsearch.observability import get_logger
from petsearch.ports import Embedder

log = get_logger(__name__)

BINARY = "application/octet-stream"
LEFT_MS = "X-Deadline-Ms"
"""A header: the milliseconds after which nobody waits for the response any more."""
_PART = "the embedder"
# Bounded, because numpy supports neither larger sizes nor more dimensions than some dozens.
_SHAPE = re.compile(r" *[0-9]{1,9} *(, *[0-9]{1,9} *){0,7}")
_CONNECT_S = 2.0
_QUERY_S = 15.0
_INGEST_S = 120.0
"""A batch of bulk work may wait behind others of its kind, and behind every query."""
_MODELS_S = 5.0
"""Every query may wait for the list, which a service that works returns at once."""
_MODELS_FRESH_S = 10.0
NOT_HERE = (
    httpx.codes.CONFLICT,  # the model is not loaded
    httpx.codes.TOO_MANY_REQUESTS,
    httpx.codes.SERVICE_UNAVAILABLE,
)
"""Answers of an embedder after which another one is asked."""
_NOT_SERVED = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
_MODEL = TypeAdapter(ModelInfo)
_ERRORS = {400: InvalidInput, 409: Conflict, 413: TooLarge, 422: InvalidInput}
_NO_EMBEDDER = (
    "What answers for the embedder is no embedder, or another version; its address is in "
    "PETSEARCH_EMBEDDER_URL."
)


@dataclass(frozen=True)
class _Report:
    """What one service says of itself."""

    models: tuple[ModelInfo, ...]
    is_ready: bool
    failed: Mapping[str, str]
    """Why it cannot load models, by how they are to be loaded."""


class HttpEmbedder(Embedder):
    """The embedder service, or several, as an `Embedder`.

    A service that does not have a model passes the request on to another one: see `connect`.

    Args:
        client: speaks to the services; closed with this.
        addresses: returns those of all services, which its transport knows; that of the client
            alone if not given.
        clock: seconds, monotonic; decides when the list of models is read again.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        addresses: Callable[[], Sequence[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._addresses = addresses or (lambda: (str(client.base_url),))
        self._clock = clock
        self._models: tuple[ModelInfo, ...] = ()
        self._models_read_at = -math.inf
        self._failure = ""
        self._failed_at = -math.inf
        self._reading = threading.Lock()

    def models(self) -> tuple[ModelInfo, ...]:
        """Read again when the list is some seconds old, by one call; others get the old list."""
        called_at, known = self._clock(), self._models
        if not self._reading.acquire(timeout=0 if known else deadline.left_s(_MODELS_S)):
            deadline.check(_PART)
            if not known:
                raise Unavailable("The embedder does not answer; another call waits for it.")
            return known
        try:
            return self._fresh_models(called_at)
        finally:
            self._reading.release()

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        body = {"texts": list(texts), "model_id": model_id}
        return self._embed("texts", len(texts), model_id, priority, json=body, headers={})

    def count_tokens(self, texts: Sequence[str], *, model_id: str | None = None) -> list[int]:
        body = {"texts": list(texts), "model_id": model_id}
        response = self._send("POST", "/v1/tokens", _QUERY_S, json=body)
        with _only_embedders():
            counts = [int(count) for count in response.json()["counts"]]
            if len(counts) != len(texts):
                raise ValueError(f"{len(counts)} counts of {len(texts)} texts")
            return counts

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            raise InvalidInput(
                "Pixels must be uint8 of shape (n, 3, height, width); "
                f"these are {pixels.dtype} of shape {pixels.shape}."
            )
        headers = {"Content-Type": BINARY, "X-Shape": shape_to_header(pixels.shape)}
        headers |= {"X-Model-Id": model_id} if model_id else {}
        content = pixels.tobytes()
        return self._embed(
            "pixels", len(pixels), model_id, priority, content=content, headers=headers
        )

    def is_everywhere(self, model_id: str) -> bool:
        ready = [report for report in self._reports() if report.is_ready]
        having = [any(model.model_id == model_id for model in one.models) for one in ready]
        return bool(ready) and all(having)

    def load(self, spec: str) -> ModelInfo:
        """The model, if a service has loaded it: each loads by itself what it is to serve."""
        self._forget_models()
        reports = self._reports()
        for model in (model for report in reports for model in report.models):
            if spec in (model.spec, f"s3:{model.model_id}"):
                return model
        reasons = [report.failed[spec] for report in reports if spec in report.failed]
        if len(reasons) == len(reports):
            raise Conflict(reasons[0])
        raise Unavailable(f"No embedder has loaded {spec} yet.")

    def unload(self, model_id: str) -> None:  # noqa: ARG002  # each does by itself
        self._forget_models()

    def calibrate(self, model_id: str, calibration: Calibration) -> None:  # noqa: ARG002  # each does by itself
        self._forget_models()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _forget_models(self) -> None:
        self._models, self._models_read_at = (), -math.inf

    def _fresh_models(self, called_at: float) -> tuple[ModelInfo, ...]:
        if self._clock() - self._models_read_at <= _MODELS_FRESH_S:
            return self._models
        if self._failed_at >= called_at:
            # Callers that waited for a call that failed would fail as slowly, one by one.
            raise Unavailable(self._failure)
        try:
            self._models = self._known_models()
        except Unavailable as error:
            self._failure, self._failed_at = error.detail, self._clock()
            raise
        self._models_read_at = self._clock()
        return self._models

    def _known_models(self) -> tuple[ModelInfo, ...]:
        """The models of all services that answer, those of the ready ones first."""
        reports = sorted(self._reports(), key=lambda report: not report.is_ready)
        models: dict[str, ModelInfo] = {}
        for report in reports:
            for model in report.models:
                models.setdefault(model.model_id, model)
        return tuple(models.values())

    def _reports(self) -> list[_Report]:
        """What each service that answers says of itself; at least one."""
        addresses = self._addresses()
        with ThreadPoolExecutor(len(addresses)) as threads:
            # Each with the deadline of the caller.
            calls = [
                threads.submit(contextvars.copy_context().run, self._report_of, address)
                for address in addresses
            ]
        answered = [call for call in calls if not isinstance(call.exception(), Unavailable)]
        return [call.result() for call in answered or calls[:1]]

    def _report_of(self, address: str) -> _Report:
        # Half of the time that is left, so that a known query can still be answered without it.
        most_s = min(_MODELS_S, deadline.left_s() / 2)
        with _only_embedders():
            body = self._send("GET", "/v1/models", most_s, only=address).json()
            models = tuple(_MODEL.validate_python(model) for model in body["models"])
            return _Report(models, body.get("is_ready", True), body.get("failed", {}))

    def _embed(
        self,
        kind: str,
        count: int,
        model_id: str | None,
        priority: Priority,
        *,
        headers: dict[str, str],
        **body: Any,
    ) -> Embeddings:
        headers |= {"Accept": BINARY, "X-Priority": priority.value}
        timeout_s = _QUERY_S if priority is Priority.QUERY else _INGEST_S
        try:
            response = self._send("POST", f"/v1/embed/{kind}", timeout_s, headers=headers, **body)
        except Conflict:
            self._forget_models()  # another model was loaded since the list was read
            raise
        with _only_embedders():
            return _embeddings_of(response, count, model_id)

    def _send(
        self, method: str, path: str, timeout_s: float, *, only: str | None = None, **request: Any
    ) -> httpx.Response:
        """A successful response; a failed one raises a petsearch error."""
        deadline.check(_PART)
        timeout_s = deadline.left_s(timeout_s)
        headers = {**request.pop("headers", {}), LEFT_MS: str(math.ceil(timeout_s * 1000))}
        try:
            response = self._client.request(
                method,
                path,
                timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
                headers=headers,
                extensions={} if only is None else {ONLY: only},
                **request,
            )
        except httpx.TransportError as error:
            raise Unavailable(
                f"The embedder does not answer ({type(error).__name__}); it may be starting."
            ) from error
        _check(response)
        return response


def connect(url: str, *, lookup: Lookup = lookup_host) -> HttpEmbedder:
    """The embedders at `url`. Sends nothing yet.

    Several are written with commas, or are all behind one name, which is resolved again and again.
    Requests alternate between them, and go to the next one if one does not answer, is busy, or
    does not have the model.

    Raises:
        ConfigurationError: `url` is no address.
    """
    given = split_addresses(url)
    addresses = ServiceNames(given, lookup=lookup)
    transport = FailoverTransport(
        addresses,
        OnlyEmbedders(
            httpx.HTTPTransport(retries=1, limits=httpx.Limits(max_keepalive_connections=32))
        ),
        round_robin=True,
        may_repeat=is_idempotent,
        retry_statuses=NOT_HERE,
    )
    return HttpEmbedder(httpx.Client(base_url=given[0], transport=transport), addresses=addresses)


class OnlyEmbedders(httpx.BaseTransport):
    """Answers 503 for what is no embedder, so that another one is asked."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self._inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._inner.handle_request(request)
        lacks_embeddings = (
            answer.is_success
            and request.url.path.startswith("/v1/embed/")
            and "X-Shape" not in answer.headers
        )
        if not (lacks_embeddings or answer.status_code in _NOT_SERVED):
            return answer
        answer.close()
        return httpx.Response(httpx.codes.SERVICE_UNAVAILABLE, json={"detail": _NO_EMBEDDER})

    def close(self) -> None:
        self._inner.close()


def is_idempotent(request: httpx.Request) -> bool:
    """Whether another embedder may be sent the same request."""
    return request.method == "GET" or request.url.path.startswith(("/v1/embed/", "/v1/tokens"))


def shape_to_header(shape: Sequence[int]) -> str:
    """`X-Shape`: `16,3,224,224`."""
    return ",".join(str(size) for size in shape)


def shape_from_header(value: str) -> tuple[int, ...]:
    """The sizes in an `X-Shape` header.

    Raises:
        InvalidInput: it is no list of whole numbers.
    """
    if not _SHAPE.fullmatch(value):
        raise InvalidInput(f"X-Shape is {value[:80]!r}; it must look like 16,3,224,224.")
    return tuple(int(size) for size in value.split(","))


@contextmanager
def _only_embedders() -> Iterator[None]:
    """What answers otherwise, such as a proxy's page, counts as an embedder that is down."""
    try:
        yield
    except (InvalidInput, Conflict, TooLarge, ValueError, KeyError, TypeError) as error:
        log.warning("what answers as an embedder is none", reason=str(error))
        raise Unavailable(_NO_EMBEDDER) from error


def _embeddings_of(response: httpx.Response, count: int, model_id: str | None) -> Embeddings:
    """The embeddings in a response.

    Raises:
        ValueError, KeyError, InvalidInput: they are not what was asked for.
    """
    shape = shape_from_header(response.headers["X-Shape"])
    made_by = response.headers.get("X-Model-Id", model_id)
    if len(shape) != 2 or shape[0] != count or model_id not in (None, made_by):
        raise ValueError(f"embeddings of shape {shape} by {made_by!r}, not {count} by {model_id!r}")
    embeddings = np.frombuffer(response.content, "<f4").reshape(shape).astype(np.float32)
    if not np.isfinite(embeddings).all():
        raise ValueError("embeddings that are not finite")
    return embeddings


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    detail, status = _detail(response), response.status_code
    if response.is_client_error and status != httpx.codes.TOO_MANY_REQUESTS:
        raise _ERRORS.get(status, Unavailable)(detail)
    kind = Unavailable if response.is_server_error else Overloaded
    raise kind(detail, retry_after_s=retry_after_s(response.headers))


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The embedder answered {response.status_code}."
