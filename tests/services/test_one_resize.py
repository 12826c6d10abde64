"""Photos that are asked with are resized like those that are stored, by the reference's filter."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petsearch.app.services import build_services
from petsearch.domain import Embeddings, Pixels
from petsearch.photos import ImageLimits, decode, to_pixels
from petsearch.search import PhotoPart, Query, SearchOptions, Weighted
from petsearch.settings import Settings
from tests import pictures

PHOTO = pictures.encoded(pictures.noise(400, 300), "PNG")


def test_a_photo_is_embedded_from_the_pixels_it_is_stored_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        embedder_url="local:",
        index_url=f"edge:{tmp_path / 'index'}",
        store_url=f"file:{tmp_path / 'objects'}",
        redis_url=f"local:{tmp_path / 'redis'}",
        model="sample",
        precision="fp32",
    )
    services = build_services(settings)
    spec = services.initialise().model.pixel_spec
    embedder, embedded = services.parts.embedder, []
    embed_pixels = embedder.embed_pixels

    def keep(pixels: Pixels, **options: Any) -> Embeddings:
        embedded.append(pixels)
        return embed_pixels(pixels, **options)

    monkeypatch.setattr(embedder, "embed_pixels", keep)
    services.search.by_query(Query((Weighted(PhotoPart(PHOTO)),)), SearchOptions())
    services.close()
    picture = decode.decode(PHOTO, ImageLimits()).picture
    assert np.array_equal(embedded, [to_pixels(picture, spec)[None]])
