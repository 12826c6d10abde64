"""Composed queries over HTTP: what photos and "less like this" add to the name of a breed.

A "wrong hit" is the best result of another breed. A "light" photo has a thumbnail with a bright
centre: a proxy for a white coat.
"""

import io
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from bench.rankings import ServerClient, precision_at_5, truth_of
from petsearch.domain import JsonDict
from petsearch.domain.prompts import OXFORD_LABELS

_LIMIT = 20
_SHOWN = 10


@dataclass(frozen=True)
class ComposedRow:
    """One kind of query, over all breeds."""

    asked: str
    queries: int
    precision_at_5: float
    lightness: float
    """Mean of the first ten results, 0..1."""


class ComposedQueries:
    """Queries every breed in several ways."""

    def __init__(self, server: ServerClient) -> None:
        self._server = server
        self._lightness = lru_cache(maxsize=None)(self._lightness_of)
        self._found: dict[str, list[tuple[str, list[JsonDict]]]] = defaultdict(list)

    def measure(self) -> list[ComposedRow]:
        """Run all queries; returns one row per kind."""
        photos = self._a_photo_of_each()
        for label in OXFORD_LABELS:
            if label.breed in photos:
                self._ask_for(label.breed, photos[label.breed])
        rows = [self._row(name, found) for name, found in self._found.items()]
        return [*rows, *self._persian_rows()]

    def _a_photo_of_each(self) -> dict[str, str]:
        """The id of the newest photo of each breed."""
        return {truth_of(image): image["image_id"] for image in reversed([*self._server.images()])}

    def _ask_for(self, breed: str, photo: str) -> None:
        by_text = self._ask("breed", breed, {"text": breed})
        by_photo = self._ask("photo", breed, {"image_id": photo})
        self._ask("breed + photo", breed, {"text": breed, "image_id": photo})
        for name, asked, hits in (
            ("breed - wrong hit", {"text": breed}, by_text),
            ("photo - wrong hit", {"image_id": photo}, by_photo),
        ):
            wrong = next((hit["image_id"] for hit in hits if truth_of(hit) != breed), None)
            if wrong is not None:
                self._ask(name, breed, {**asked, "negative": [{"image_id": wrong}]})
        own = [hit for hit in by_text if truth_of(hit) == breed]
        if len(own) > 1:
            dark, light = self._extremes(own)
            self._ask("breed - its lightest hit", breed, {"text": breed, **_minus(light)})
            self._ask(
                "breed + its darkest hit - its lightest",
                breed,
                {"text": breed, "image_id": dark, **_minus(light)},
            )

    def _ask(self, name: str, breed: str, body: JsonDict) -> list[JsonDict]:
        hits: list[JsonDict] = self._server.composed({**body, "limit": _LIMIT})["items"]
        self._found[name].append((breed, hits))
        return hits

    def _row(self, name: str, found: Sequence[tuple[str, list[JsonDict]]]) -> ComposedRow:
        return ComposedRow(
            asked=name,
            queries=len(found),
            precision_at_5=statistics.mean(precision_at_5(hits, breed) for breed, hits in found),
            lightness=statistics.mean(self._mean_lightness(hits) for _, hits in found),
        )

    def _persian_rows(self) -> list[ComposedRow]:
        text = {"text": "persian cat"}
        hits = self._server.composed({**text, "limit": _LIMIT})["items"]
        dark, white = self._extremes(hits)
        ways: dict[str, JsonDict] = {
            "persian cat": text,
            "persian cat - a white one": {**text, **_minus(white)},
            "persian cat + a dark one - a white one": {**text, "image_id": dark, **_minus(white)},
        }
        answers = {name: self._server.composed({**ways[name], "limit": _LIMIT}) for name in ways}
        return [self._row(name, [("persian", answers[name]["items"])]) for name in ways]

    def _extremes(self, hits: Sequence[JsonDict]) -> tuple[str, str]:
        """The ids of the darkest and the lightest hit."""
        ids = sorted((hit["image_id"] for hit in hits), key=self._lightness)
        return ids[0], ids[-1]

    def _mean_lightness(self, hits: Sequence[JsonDict]) -> float:
        return statistics.mean(self._lightness(hit["image_id"]) for hit in hits[:_SHOWN])

    def _lightness_of(self, image_id: str) -> float:
        data = self._server.bytes_of(f"/v1/images/{image_id}/thumbnail")
        with Image.open(io.BytesIO(data)) as picture:
            values = np.asarray(picture.convert("L"), np.float32) / 255
        height, width = values.shape
        return float(values[height // 3 : -height // 3, width // 3 : -width // 3].mean())


def _minus(image_id: str) -> JsonDict:
    return {"negative": [{"image_id": image_id}]}
