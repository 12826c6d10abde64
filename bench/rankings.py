"""Rankings of a running server over HTTP, and metrics over them.

Labels are taken from file names (`Maine_Coon_119.jpg`), so that none need to be ingested.
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx

from petsearch.domain import JsonDict, normalise_name

K = 5
_PAGE = 100


class ServerClient:
    """The API calls that quality is measured with."""

    def __init__(self, address: str) -> None:
        self._http = httpx.Client(base_url=address, timeout=60)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def page(self, path: str, **params: Any) -> JsonDict:
        """The response of a search by GET."""
        return self._checked(self._http.get(path, params=params))

    def composed(self, body: JsonDict) -> JsonDict:
        """The response of `POST /v1/search`."""
        return self._checked(self._http.post("/v1/search", json=body))

    def ranking(self, path: str, depth: int, **params: Any) -> list[JsonDict]:
        """The first `depth` results, by cursor; the API ends after 1,000."""
        hits: list[JsonDict] = []
        cursor: dict[str, str] = {}
        while len(hits) < depth:
            wanted = min(_PAGE, depth - len(hits))
            answer = self.page(path, limit=wanted, **params, **cursor)
            hits += answer["items"]
            if answer["next_cursor"] is None:
                break
            cursor = {"cursor": answer["next_cursor"]}
        return hits

    def images(self) -> Iterator[JsonDict]:
        """Every image, newest first."""
        cursor: dict[str, str] = {}
        while True:
            page = self.page("/v1/images", limit=_PAGE, **cursor)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}

    def bytes_of(self, path: str) -> bytes:
        """The body at a path of the API."""
        return self._http.get(path).raise_for_status().content

    def _checked(self, response: httpx.Response) -> JsonDict:
        answer: JsonDict = response.raise_for_status().json()
        return answer


def truth_of(image: Mapping[str, Any]) -> str:
    """The breed in a file name: `Maine_Coon_119.jpg`, or an image_id without a suffix."""
    stem = str(image["filename"]).removesuffix(".jpg")
    return normalise_name(stem.rpartition("_")[0])


def precision_at_5(hits: Sequence[JsonDict], breed: str) -> float:
    """Share of the first five hits with the breed."""
    return sum(truth_of(hit) == breed for hit in hits[:K]) / K


def average_precision(hits: Sequence[JsonDict], breed: str, relevant: int) -> float:
    """Mean precision at the rank of each of `relevant` photos; those not ranked count 0."""
    found = 0
    total = 0.0
    for rank, hit in enumerate(hits, 1):
        if truth_of(hit) == breed:
            found += 1
            total += found / rank
    return total / relevant


def mean_per_class_recall(images: Sequence[JsonDict]) -> tuple[float, float]:
    """Top-1 of the predicted breeds, and its mean over breeds."""
    pairs = [(truth_of(image), image["predicted"]["breed"]) for image in images]
    every = Counter(truth for truth, _ in pairs)
    right = Counter(truth for truth, found in pairs if truth == found)
    return right.total() / len(pairs), statistics.mean(right[one] / every[one] for one in every)
