"""The embedder service over HTTP: pixels and embeddings go as raw little-endian numbers."""

import math
import re
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
from pydantic import TypeAdapter

from petsearch.domain import Embeddings, ModelInfo, Pixels, Priority
from petsearch.domain.errors import Conflict, InvalidInput, Overloaded, TooLarge, Unavailable
from petsearch.failover import ONLY, FailoverTransport, retry_after_s, split_addresses
from petsearch.ports import Embedder

BINARY = "application/octet-stream"
# Bounded, because numpy supports neither larger sizes nor more dimensions than some dozens.
_SHAPE = re.compile(r" *[0-9]{1,9} *(, *[0-9]{1,9} *){0,7}")
_CONNECT_S = 2.0
_QUERY_S = 15.0
_INGEST_S = 120.0
"""A batch of bulk work may wait behind others of its kind, and behind every query."""
_MODELS_S = 5.0
"""Every query may wait for the list, which a service that works returns at once."""
_LOAD_S = 600.0
"""A model may have to be fetched first."""
_MODELS_FRESH_S = 10.0
_MODEL = TypeAdapter(ModelInfo)
_ERRORS = {409: Conflict, 413: TooLarge}


class HttpEmbedder(Embedder):
    """The embedder service as an `Embedder`.

    Args:
        client: speaks to the service; closed with this.
        addresses: how many services its transport knows. A model counts as loaded only where all
            of them have it, because any of them may be asked to embed.
        clock: seconds, monotonic; decides when the list of models is read again.
    """

    def __init__(
        self,
        client: httpx.Client,
        *,
        addresses: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._addresses = range(addresses)
        self._clock = clock
        self._models: tuple[ModelInfo, ...] = ()
        self._models_read_at = -math.inf
        self._failure = ""
        self._failed_at = -math.inf
        self._reading = threading.Lock()

    def models(self) -> tuple[ModelInfo, ...]:
        """Read again when the list is some seconds old, by one call; others get the old list."""
        called_at, known = self._clock(), self._models
        if not self._reading.acquire(blocking=not known):
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
        return self._embed("texts", priority, json=body, headers={})

    def count_tokens(self, texts: Sequence[str], *, model_id: str | None = None) -> list[int]:
        body = {"texts": list(texts), "model_id": model_id}
        counts: list[int] = self._send("POST", "/v1/tokens", _QUERY_S, json=body).json()["counts"]
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
        return self._embed("pixels", priority, content=pixels.tobytes(), headers=headers)

    def load(self, spec: str) -> ModelInfo:
        """Every service loads it, one after the other."""
        try:
            loaded = [
                self._send("POST", "/v1/models", _LOAD_S, only=address, json={"spec": spec})
                for address in self._addresses
            ]
        finally:
            self._forget_models()
        return _MODEL.validate_python(loaded[0].json())

    def unload(self, model_id: str) -> None:
        try:
            for address in self._addresses:
                self._send("DELETE", f"/v1/models/{model_id}", _QUERY_S, only=address)
        finally:
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
            self._models = self._common_models()
        except Unavailable as error:
            self._failure, self._failed_at = error.detail, self._clock()
            raise
        self._models_read_at = self._clock()
        return self._models

    def _common_models(self) -> tuple[ModelInfo, ...]:
        """The models of all services that answer, in the order of the first."""
        with ThreadPoolExecutor(len(self._addresses)) as threads:
            calls = [threads.submit(self._models_of, address) for address in self._addresses]
        answered = [call for call in calls if not isinstance(call.exception(), Unavailable)]
        answers = [call.result() for call in answered or calls[:1]]
        common = set.intersection(*({model.model_id for model in models} for models in answers))
        return tuple(model for model in answers[0] if model.model_id in common)

    def _models_of(self, address: int) -> list[ModelInfo]:
        response = self._send("GET", "/v1/models", _MODELS_S, only=address)
        return [_MODEL.validate_python(model) for model in response.json()["models"]]

    def _embed(
        self, kind: str, priority: Priority, *, headers: dict[str, str], **body: Any
    ) -> Embeddings:
        headers |= {"Accept": BINARY, "X-Priority": priority.value}
        timeout_s = _QUERY_S if priority is Priority.QUERY else _INGEST_S
        try:
            response = self._send("POST", f"/v1/embed/{kind}", timeout_s, headers=headers, **body)
        except Conflict:
            self._forget_models()  # another model was loaded since the list was read
            raise
        shape = shape_from_header(response.headers["X-Shape"])
        return np.frombuffer(response.content, "<f4").reshape(shape).astype(np.float32)

    def _send(
        self, method: str, path: str, timeout_s: float, *, only: int | None = None, **request: Any
    ) -> httpx.Response:
        """A successful response; a failed one raises a petsearch error."""
        try:
            response = self._client.request(
                method,
                path,
                timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
                extensions={} if only is None else {ONLY: only},
                **request,
            )
        except httpx.TransportError as error:
            raise Unavailable(
                f"The embedder does not answer ({type(error).__name__}); it may be starting."
            ) from error
        _check(response)
        return response


def connect(url: str) -> HttpEmbedder:
    """The embedder at `url`. Sends nothing yet; a connection that fails is tried once more.

    Several embedders with the same model are written with commas: requests alternate between them,
    and go to the next one if one does not answer.

    Raises:
        ConfigurationError: `url` is no address.
    """
    addresses = split_addresses(url)
    transport: httpx.BaseTransport = httpx.HTTPTransport(
        retries=1 if len(addresses) == 1 else 0, limits=httpx.Limits(max_keepalive_connections=32)
    )
    if len(addresses) > 1:
        transport = FailoverTransport(
            addresses,
            transport,
            round_robin=True,
            may_repeat=_is_idempotent,
            retry_statuses=(httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE),
        )
    client = httpx.Client(base_url=addresses[0], transport=transport)
    return HttpEmbedder(client, addresses=len(addresses))


def _is_idempotent(request: httpx.Request) -> bool:
    return request.method == "GET" or request.url.path.startswith("/v1/embed/")


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


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    detail, status = _detail(response), response.status_code
    if response.is_client_error and status != httpx.codes.TOO_MANY_REQUESTS:
        raise _ERRORS.get(status, InvalidInput)(detail)
    kind = Unavailable if response.is_server_error else Overloaded
    raise kind(detail, retry_after_s=retry_after_s(response.headers))


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The embedder answered {response.status_code}."
