"""The embedder's calls. Embeddings go as JSON, or as raw little-endian float32 for
`Accept: application/octet-stream`, with their shape in `X-Shape` and the model in `X-Model-Id`.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Annotated, cast

import numpy as np
from fastapi import APIRouter, Depends, File, Header, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from petsearch.adapters.embedder_http import BINARY, shape_from_header, shape_to_header
from petsearch.domain import Embeddings, ModelInfo, Pixels, Priority
from petsearch.domain.errors import ConfigurationError, InvalidInput, Unavailable
from services.embedder.decoder import Decoder
from services.embedder.disconnects import read_body, wait_for_result
from services.embedder.loading import Loading
from services.embedder.parts import Parts
from services.embedder.schemas import (
    EmbeddingsBody,
    FailedImage,
    ImageEmbeddingsBody,
    LoadedModels,
    ModelToLoad,
    TextsToEmbed,
    TokenCounts,
)
from services.http.forms import FormRoute

_MAX_IMAGES = 64
_BYTES = {"type": "string", "format": "binary"}


def _loading(request: Request) -> Loading:
    return cast(Loading, request.app.state.loading)


def _parts(request: Request) -> Parts:
    """Raises Unavailable until the model is loaded."""
    return _loading(request).parts()


router = APIRouter(route_class=FormRoute)
PartsDep = Annotated[Parts, Depends(_parts)]
PriorityHeader = Annotated[Priority, Header(alias="X-Priority")]
ModelHeader = Annotated[str | None, Header(alias="X-Model-Id")]
AcceptHeader = Annotated[str, Header(alias="Accept")]
BodyDep = Annotated[bytearray, Depends(read_body)]


@router.post("/v1/embed/texts", response_model=EmbeddingsBody, summary="Embed texts")
async def embed_texts(
    parts: PartsDep,
    request: Request,
    body: TextsToEmbed,
    priority: PriorityHeader = Priority.QUERY,
    accept: AcceptHeader = "*/*",
) -> Response:
    """One embedding for each text."""
    model = parts.embedder.model(body.model_id)
    with parts.metrics.timed("tokenise", "texts"):
        future = await run_in_threadpool(
            parts.embedder.submit_texts, body.texts, model.model_id, priority
        )
    return _answer(await wait_for_result(future, request), model.model_id, accept)


@router.post("/v1/tokens", summary="Count tokens")
def count_tokens(parts: PartsDep, body: TextsToEmbed) -> TokenCounts:
    """How many tokens each text has; the model reads its `context_length` of them."""
    return TokenCounts(counts=parts.embedder.count_tokens(body.texts, model_id=body.model_id))


@router.post(
    "/v1/embed/pixels",
    response_model=EmbeddingsBody,
    summary="Embed pixels",
    openapi_extra={"requestBody": {"content": {BINARY: {"schema": _BYTES}}, "required": True}},
)
async def embed_pixels(
    parts: PartsDep,
    request: Request,
    shape: Annotated[str, Header(alias="X-Shape", examples=["16,3,224,224"])],
    data: BodyDep,
    model_id: ModelHeader = None,
    priority: PriorityHeader = Priority.QUERY,
    accept: AcceptHeader = "*/*",
) -> Response:
    """One embedding for each row of uint8 pixels `(n, 3, height, width)` of the model's spec."""
    model = parts.embedder.model(model_id)
    future = parts.embedder.submit_pixels(
        _to_pixels(data, shape_from_header(shape)), model.model_id, priority
    )
    return _answer(await wait_for_result(future, request), model.model_id, accept)


@router.post("/v1/embed/images", summary="Embed encoded images")
async def embed_images(
    parts: PartsDep,
    request: Request,
    images: Annotated[list[UploadFile], File(description="Pictures, at most 64 in a request.")],
    model_id: ModelHeader = None,
    priority: PriorityHeader = Priority.QUERY,
) -> ImageEmbeddingsBody:
    """One embedding for each picture; one that cannot be decoded is named, the others served."""
    if len(images) > _MAX_IMAGES:
        raise InvalidInput(f"The request has {len(images)} images; send at most {_MAX_IMAGES}.")
    model = parts.embedder.model(model_id)
    with parts.metrics.timed("decode", "pixels"):
        decoded, failed = await _decode(parts.decoder, images, model)
    rows: list[list[float] | None] = [None] * len(images)
    if decoded:
        future = parts.embedder.submit_pixels(
            np.stack(list(decoded.values())), model.model_id, priority
        )
        embeddings = await wait_for_result(future, request)
        for position, embedding in zip(decoded, embeddings.tolist(), strict=True):
            rows[position] = embedding
    return ImageEmbeddingsBody(model_id=model.model_id, embeddings=rows, failed=failed)


@router.get("/v1/models", summary="Loaded models")
def list_models(parts: PartsDep) -> LoadedModels:
    """The description of each loaded model; the default one first."""
    models = parts.embedder.models()
    if parts.watch is None:
        return LoadedModels(models=models)
    return LoadedModels(
        models=models, is_ready=parts.watch.reason is None, failed=parts.watch.failed
    )


@router.post("/v1/models", status_code=201, summary="Load one more model")
def load_model(parts: PartsDep, body: ModelToLoad) -> ModelInfo:
    """Load a model beside the current one, which serves meanwhile; answers when it is warm."""
    try:
        return parts.embedder.load(body.spec)
    except ConfigurationError as error:  # here it is the caller's, not the operator's
        raise InvalidInput(error.detail) from error


@router.delete("/v1/models/{model_id}", status_code=204, summary="Unload a model")
def unload_model(parts: PartsDep, model_id: str) -> None:
    """Unload a model; the only one cannot be unloaded."""
    parts.embedder.unload(model_id)


@router.get("/livez", summary="Liveness")
async def get_livez(request: Request) -> dict[str, str]:
    """503 when the device is lost: only a new process can use it again."""
    if (parts := _loading(request).loaded) is not None:
        parts.embedder.batcher.check_device()
    return {"status": "ok"}


@router.get("/readyz", summary="Readiness")
async def get_readyz(parts: PartsDep) -> dict[str, str]:
    """503 until the model that is searched with is served, with the reason; and when the device is
    lost.
    """
    parts.embedder.batcher.check_device()
    if parts.watch is not None and (reason := parts.watch.reason) is not None:
        raise Unavailable(reason)
    return {"status": "ok"}


def _to_pixels(data: bytearray, shape: tuple[int, ...]) -> Pixels:
    wanted = math.prod(shape)
    if wanted != len(data):
        raise InvalidInput(f"X-Shape says {wanted} bytes, the body has {len(data)}.")
    try:
        return np.frombuffer(data, np.uint8).reshape(shape)
    except ValueError as error:  # no rows, of a size that cannot be
        raise InvalidInput(f"X-Shape is {shape}, which no array can have.") from error


async def _decode(
    decoder: Decoder, uploads: Sequence[UploadFile], model: ModelInfo
) -> tuple[dict[int, Pixels], list[FailedImage]]:
    files = [await upload.read() for upload in uploads]
    waiting = [asyncio.wrap_future(decoder.submit(data, model.pixel_spec)) for data in files]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    decoded: dict[int, Pixels] = {}
    failed = []
    for position, (upload, result) in enumerate(zip(uploads, results, strict=True)):
        if isinstance(result, InvalidInput):
            name = upload.filename or ""
            failed.append(FailedImage(position=position, filename=name, detail=result.detail))
        elif isinstance(result, BaseException):
            raise result
        else:
            decoded[position] = result
    return decoded, failed


def _answer(embeddings: Embeddings, model_id: str, accept: str) -> Response:
    if BINARY not in accept:
        body = EmbeddingsBody(model_id=model_id, embeddings=embeddings.tolist())
        return Response(body.model_dump_json(), media_type="application/json")
    headers = {"X-Shape": shape_to_header(embeddings.shape), "X-Model-Id": model_id}
    return Response(embeddings.astype("<f4").tobytes(), media_type=BINARY, headers=headers)
