"""The embedder service over HTTP: pixels and embeddings go as raw little-endian numbers."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import numpy as np

from petsearch.domain import (
    Embeddings,
    JsonDict,
    Label,
    ModelInfo,
    Pixels,
    PixelSpec,
    Priority,
)
from petsearch.domain.calibration import calibration_from
from petsearch.domain.errors import Conflict, InvalidInput, Overloaded, TooLarge, Unavailable
from petsearch.failover import ONLY, FailoverTransport, split_addresses
from petsearch.ports import Embedder

BINARY = "application/octet-stream"
# Bounded, because numpy knows no larger sizes and no more than some dozens of them.
_SHAPE = re.compile(r" *[0-9]{1,9} *(, *[0-9]{1,9} *){0,7}")
_CONNECT_S = 2.0
_QUERY_S = 15.0
_INGEST_S = 120.0
"""A batch of bulk work may wait behind others of its kind, and behind every query."""
_LOAD_S = 600.0
"""A model may have to be fetched first."""
_MODELS_FRESH_S = 10.0


@dataclass(frozen=True)
class _Known:
    models: tuple[ModelInfo, ...]
    read_at: float


@dataclass(frozen=True)
class _Failed:
    detail: str
    at: float


class HttpEmbedder(Embedder):
    """The `Embedder` port over the embedder service.

    Args:
        client: speaks to the service; closed with this.
        addresses: how many services its transport knows. All have to have a model for it to be
            one of ours, because any of them may be asked to embed.
        clock: seconds, only ever forward; decides when the list of models is read again.
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
        self._known: _Known | None = None
        self._failed: _Failed | None = None
        self._asking = threading.Lock()

    def models(self) -> tuple[ModelInfo, ...]:
        """Asked again after some seconds, not at every call."""
        came_at = self._clock()
        with self._asking:
            known = self._known
            if known is not None and self._clock() - known.read_at <= _MODELS_FRESH_S:
                return known.models
            failed = self._failed
            if failed is not None and failed.at >= came_at:
                # Whoever waited beside the one that failed would fail as slowly, one by one.
                raise Unavailable(failed.detail)
            return self._ask_anew().models

    def _ask_anew(self) -> _Known:
        try:
            self._known = _Known(self._common_models(), self._clock())
        except Unavailable as error:
            self._failed = _Failed(error.detail, self._clock())
            raise
        return self._known

    def _common_models(self) -> tuple[ModelInfo, ...]:
        """What all services that answer have, in the order of the first."""
        with _translated():
            answers = _of_those_that_answer(self._ask_models, self._addresses)
        first, *others = answers
        return tuple(
            model
            for model in first
            if all(model.model_id in {same.model_id for same in other} for other in others)
        )

    def _ask_models(self, address: int) -> list[ModelInfo]:
        response = self._client.get(
            "/v1/models", timeout=_timeout(_QUERY_S), extensions={ONLY: address}
        )
        _check(response)
        return [_model_from(entry) for entry in response.json()["models"]]

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        with _translated():
            response = self._client.post(
                "/v1/embed/texts",
                json={"texts": list(texts), "model_id": model_id},
                headers=_headers(priority, None),
                timeout=_timeout_of(priority),
            )
        return self._embeddings(response)

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
        headers = _headers(priority, model_id)
        headers |= {"Content-Type": BINARY, "X-Shape": shape_to_header(pixels.shape)}
        with _translated():
            response = self._client.post(
                "/v1/embed/pixels",
                content=pixels.tobytes(),
                headers=headers,
                timeout=_timeout_of(priority),
            )
        return self._embeddings(response)

    def load(self, spec: str) -> ModelInfo:
        """Every service loads it, one after the other."""
        try:
            first, *_ = [self._load(spec, address) for address in self._addresses]
            return first
        finally:
            self._known = None

    def _load(self, spec: str, address: int) -> ModelInfo:
        with _translated():
            response = self._client.post(
                "/v1/models",
                json={"spec": spec},
                timeout=_timeout(_LOAD_S),
                extensions={ONLY: address},
            )
        _check(response)
        return _model_from(response.json())

    def unload(self, model_id: str) -> None:
        try:
            for address in self._addresses:
                self._unload(model_id, address)
        finally:
            self._known = None

    def _unload(self, model_id: str, address: int) -> None:
        with _translated():
            response = self._client.delete(
                f"/v1/models/{model_id}", timeout=_timeout(_QUERY_S), extensions={ONLY: address}
            )
        _check(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _embeddings(self, response: httpx.Response) -> Embeddings:
        if response.status_code == 409:
            self._known = None  # another model was loaded since we asked
        _check(response)
        shape = shape_from_header(response.headers["X-Shape"])
        return np.frombuffer(response.content, "<f4").reshape(shape).astype(np.float32)


def connect(url: str) -> HttpEmbedder:
    """The embedder at `url`. Sends nothing yet; a connection that fails is tried once more.

    Several embedders with the same model are written with commas: they take turns, and one that
    does not answer is passed over.

    Raises:
        ConfigurationError: `url` is no address.
    """
    addresses = split_addresses(url)
    limits = httpx.Limits(max_keepalive_connections=32)
    transport: httpx.BaseTransport = httpx.HTTPTransport(
        retries=1 if len(addresses) == 1 else 0, limits=limits
    )
    if len(addresses) > 1:
        transport = FailoverTransport(
            addresses,
            transport,
            spread=True,
            repeatable=_is_pure,
            passed_over=(httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE),
        )
    client = httpx.Client(base_url=addresses[0], transport=transport)
    return HttpEmbedder(client, addresses=len(addresses))


def _is_pure(request: httpx.Request) -> bool:
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


def _headers(priority: Priority, model_id: str | None) -> dict[str, str]:
    headers = {"Accept": BINARY, "X-Priority": priority.value}
    return headers | ({"X-Model-Id": model_id} if model_id else {})


def _timeout_of(priority: Priority) -> httpx.Timeout:
    return _timeout(_QUERY_S if priority is Priority.QUERY else _INGEST_S)


def _of_those_that_answer(
    ask: Callable[[int], list[ModelInfo]], addresses: Sequence[int]
) -> list[list[ModelInfo]]:
    """At least one answer; the last one's error if there is none."""
    answers = []
    for address in addresses:
        try:
            answers.append(ask(address))
        except (httpx.TransportError, Unavailable):
            if address == addresses[-1] and not answers:
                raise
    return answers


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=_CONNECT_S)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise Unavailable(
            f"The embedder does not answer ({type(error).__name__}); it may be starting."
        ) from error


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    detail = _detail(response)
    retry_after_s = _retry_after_s(response)
    if response.status_code == 409:
        raise Conflict(detail)
    if response.status_code == 429:
        raise Overloaded(detail, retry_after_s=retry_after_s)
    if response.status_code == 413:
        raise TooLarge(detail)
    if response.is_client_error:
        raise InvalidInput(detail)
    raise Unavailable(detail, retry_after_s=retry_after_s)


def _retry_after_s(response: httpx.Response) -> float:
    # It may also be a date, as of a proxy.
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() else 5.0


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The embedder answered {response.status_code}."


def _model_from(entry: JsonDict) -> ModelInfo:
    labels = tuple(Label(**label) for label in entry["labels"])
    spec = PixelSpec(**entry["pixel_spec"])
    templates = {key: tuple(entry[key]) for key in ("prompt_templates", "label_templates")}
    # An embedder of an earlier version names no calibration.
    given = entry.get("calibration")
    calibration = calibration_from(given) if given else None
    return ModelInfo(
        **{
            **entry,
            **templates,
            "labels": labels,
            "pixel_spec": spec,
            "calibration": calibration,
        }
    )
