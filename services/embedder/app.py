"""The embedder as a FastAPI application: one model on one device for all the other parts.

Embeddings go as JSON, or as raw little-endian float32 for `Accept: application/octet-stream`, with
their shape in `X-Shape` and the model in `X-Model-Id`.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Depends, FastAPI, File, Header, Request, Response, UploadFile

import petsearch
from petsearch import images
from petsearch.adapters.http_embedder import BINARY, shape_from_header, shape_to_header
from petsearch.errors import Conflict, InvalidInput
from petsearch.images import ImageLimits
from petsearch.model import Embeddings, ModelInfo, Pixels, Priority
from petsearch.ports import Embedder
from services.embedder.schemas import (
    EmbeddingsBody,
    FailedImage,
    Health,
    ImageEmbeddingsBody,
    LoadedModels,
    TextsToEmbed,
)
from services.http.middleware import BodyLimit, RequestContext
from services.http.problems import add_problem_handlers

_MAX_BODY_BYTES = 512 * 1024 * 1024
_MAX_IMAGES = 64


def build_app(embedder: Embedder, limits: ImageLimits) -> FastAPI:
    """The application over `embedder`, which must be loaded and warm: it is ready at once."""
    app = FastAPI(
        title="petsearch embedder", version=petsearch.__version__, docs_url=None, redoc_url=None
    )
    app.state.embedder = embedder
    app.state.limits = limits
    app.include_router(router)
    add_problem_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=_MAX_BODY_BYTES)
    app.add_middleware(RequestContext)
    return app


def _embedder(request: Request) -> Embedder:
    embedder: Embedder = request.app.state.embedder
    return embedder


def _limits(request: Request) -> ImageLimits:
    limits: ImageLimits = request.app.state.limits
    return limits


router = APIRouter()
EmbedderDep = Annotated[Embedder, Depends(_embedder)]
LimitsDep = Annotated[ImageLimits, Depends(_limits)]
PriorityHeader = Annotated[Priority, Header(alias="X-Priority")]
ModelHeader = Annotated[str | None, Header(alias="X-Model-Id")]
AcceptHeader = Annotated[str, Header(alias="Accept")]


@router.post("/v1/embed/texts", response_model=EmbeddingsBody, summary="Embed texts")
def embed_texts(
    embedder: EmbedderDep,
    body: TextsToEmbed,
    priority: PriorityHeader = Priority.QUERY,
    accept: AcceptHeader = "*/*",
) -> Response | EmbeddingsBody:
    """One embedding for each text."""
    model = _model(embedder, body.model_id)
    embeddings = embedder.embed_texts(body.texts, model_id=model.model_id, priority=priority)
    return _answer(embeddings, model.model_id, accept)


@router.post("/v1/embed/pixels", response_model=EmbeddingsBody, summary="Embed pixels")
def embed_pixels(
    embedder: EmbedderDep,
    shape: Annotated[str, Header(alias="X-Shape", examples=["16,3,224,224"])],
    data: Annotated[bytes, Body(media_type=BINARY)] = b"",
    model_id: ModelHeader = None,
    priority: PriorityHeader = Priority.QUERY,
    accept: AcceptHeader = "*/*",
) -> Response | EmbeddingsBody:
    """One embedding for each row of uint8 pixels `(n, 3, height, width)` of the model's spec."""
    model = _model(embedder, model_id)
    pixels = _to_pixels(data, shape_from_header(shape))
    embeddings = embedder.embed_pixels(pixels, model_id=model.model_id, priority=priority)
    return _answer(embeddings, model.model_id, accept)


@router.post("/v1/embed/images", summary="Embed encoded images")
def embed_images(
    embedder: EmbedderDep,
    limits: LimitsDep,
    images: Annotated[list[UploadFile], File(description="Pictures, at most 64 in a request.")],
    model_id: ModelHeader = None,
    priority: PriorityHeader = Priority.QUERY,
) -> ImageEmbeddingsBody:
    """One embedding for each picture; one that cannot be decoded is named, the others served."""
    if len(images) > _MAX_IMAGES:
        raise InvalidInput(f"The request has {len(images)} images; send at most {_MAX_IMAGES}.")
    model = _model(embedder, model_id)
    decoded, failed = _decode(images, model, limits)
    rows: list[list[float] | None] = [None] * len(images)
    if decoded:
        embeddings = embedder.embed_pixels(
            np.stack(list(decoded.values())), model_id=model.model_id, priority=priority
        )
        for position, embedding in zip(decoded, embeddings.tolist(), strict=True):
            rows[position] = embedding
    return ImageEmbeddingsBody(model_id=model.model_id, embeddings=rows, failed=failed)


@router.get("/v1/models", summary="Loaded models")
def list_models(embedder: EmbedderDep) -> LoadedModels:
    """What each model wants and knows; the default one first."""
    return LoadedModels.of(embedder.models())


@router.get("/livez", summary="Does the process answer?")
async def get_livez() -> Health:
    """Says only that the event loop turns."""
    return Health(status="ok")


@router.get("/readyz", summary="Is the model loaded?")
def get_readyz(embedder: EmbedderDep) -> Health:
    """The application is built when its model is loaded and warm."""
    embedder.models()
    return Health(status="ok")


def _model(embedder: Embedder, model_id: str | None) -> ModelInfo:
    models = embedder.models()
    if model_id is None:
        return models[0]
    for model in models:
        if model.model_id == model_id:
            return model
    loaded = ", ".join(model.model_id for model in models)
    raise Conflict(f"The model {model_id!r} is not loaded. Loaded: {loaded}.")


def _to_pixels(data: bytes, shape: tuple[int, ...]) -> Pixels:
    wanted = int(np.prod(shape, dtype=np.int64))
    if wanted != len(data):
        raise InvalidInput(f"X-Shape says {wanted} bytes, the body has {len(data)}.")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _decode(
    uploads: Sequence[UploadFile], model: ModelInfo, limits: ImageLimits
) -> tuple[dict[int, Pixels], list[FailedImage]]:
    decoded: dict[int, Pixels] = {}
    failed = []
    for position, upload in enumerate(uploads):
        try:
            picture = images.decode(upload.file.read(), limits, at_least=640).picture
            decoded[position] = images.to_pixels(picture, model.pixel_spec)
        except InvalidInput as error:
            failed.append(
                FailedImage(position=position, filename=upload.filename or "", detail=error.detail)
            )
    return decoded, failed


def _answer(embeddings: Embeddings, model_id: str, accept: str) -> Response | EmbeddingsBody:
    if BINARY not in accept:
        return EmbeddingsBody(model_id=model_id, embeddings=embeddings.tolist())
    headers = {"X-Shape": shape_to_header(embeddings.shape), "X-Model-Id": model_id}
    return Response(embeddings.astype("<f4").tobytes(), media_type=BINARY, headers=headers)
