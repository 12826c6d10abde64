"""The queries of the load test, both as HTTP requests and as calls of the index."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlencode

from bench.galleries import ANIMALS, FIRST_DAY, image_id
from petsearch.domain import Filters, Near, TimeRange
from petsearch.domain.prompts import OXFORD_LABELS

LIMIT = 20
_TEXTS = 500
_LOOKS = ("fluffy", "grey", "young", "sleeping", "wet", "long-haired", "spotted")
_PLACES = ("on a sofa", "in the snow", "near the station", "behind a fence", "with a red collar")

Workload = Literal["text", "text and filters", "similar"]


@dataclass(frozen=True)
class Question:
    """One request, and the equivalent call of the index."""

    path: str
    text: str | None
    image_id: str | None
    filters: Filters


def text_of(number: int) -> str:
    """One of 500 texts as users write them."""
    number %= _TEXTS
    breed = OXFORD_LABELS[number % len(OXFORD_LABELS)].breed
    return f"{_LOOKS[number % len(_LOOKS)]} {breed} {_PLACES[number // 7 % len(_PLACES)]}"


def _by_text(number: int, _points: int) -> Question:
    text = text_of(number)
    return Question(_search(text, {}), text, None, Filters())


def _by_text_and_filters(number: int, points: int) -> Question:
    """All filters differ, so nothing can be reused from one query to the next."""
    text = text_of(number)
    since = FIRST_DAY + timedelta(minutes=points * 0.1, seconds=number)
    label = OXFORD_LABELS[number % len(OXFORD_LABELS)]
    created = TimeRange(since)
    added = {"since": since.isoformat()}
    place = round(52.2 + number % 60 / 100, 2), round(13.2 + number // 60 % 60 / 100, 2)
    pen = str(number % ANIMALS)
    choices: tuple[Callable[[], tuple[Filters, dict[str, str]]], ...] = (
        lambda: (
            Filters(species=(label.species,), created=created),
            {"species": label.species, **added},
        ),
        lambda: (Filters(breed=(label.breed,), created=created), {"breed": label.breed, **added}),
        lambda: (
            Filters(near=Near(*place, 30.0), created=created),
            {"near": f"{place[0]},{place[1]},30", **added},
        ),
        lambda: (
            Filters(attributes={"pen": pen}, created=created),
            {"attr": f"pen={pen}", **added},
        ),
    )
    filters, parameters = choices[number % len(choices)]()
    return Question(_search(text, parameters), text, None, filters)


def _by_image(number: int, points: int) -> Question:
    wanted = image_id(number * 7919 % points)
    path = f"/v1/images/{wanted}/similar?limit={LIMIT}"
    return Question(path, None, wanted, Filters(exclude_ids=(wanted,)))


def _search(text: str, parameters: dict[str, str]) -> str:
    return f"/v1/search?{urlencode({'q': text, 'limit': LIMIT, **parameters})}"


WORKLOADS: dict[Workload, Callable[[int, int], Question]] = {
    "text": _by_text,
    "text and filters": _by_text_and_filters,
    "similar": _by_image,
}
"""The question of a number, of an index of so many points."""
