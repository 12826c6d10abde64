"""People who search and upload while a test does something to the server, and what they got."""

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

import httpx

from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.sample.catalogue import drawing_at

TEXTS = ("grey tabby cat", "dog on grass", "black dog", "white cat")
_LIMIT = 30


@dataclass(frozen=True)
class Answer:
    """What one search brought."""

    question: str
    model_id: str
    scores: dict[str, float]
    """By image id."""


@dataclass
class Traffic:
    """Searches from `searchers` threads and uploads from one, until the block ends.

    Args:
        pause_s: from one search of a thread to its next, if it is answered by then: 4 threads make
            20 in a second.
        upload_pause_s: from one upload to the next.
    """

    url: str
    searchers: int = 4
    pause_s: float = 0.2
    upload_pause_s: float = 1.0
    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    uploaded: list[str] = field(default_factory=list)
    """Ids of photos that the server has taken in."""

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._numbers = itertools.count()
        calls = [(self._search, self.pause_s)] * self.searchers
        calls.append((self._upload, self.upload_pause_s))
        self._threads = [threading.Thread(target=self._repeat, args=call) for call in calls]
        self._photos = [drawing_at(number, seed=77).to_jpeg() for number in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def ask_everything(self) -> list[Answer]:
        """Every question once, now."""
        with httpx.Client(base_url=self.url, timeout=60) as http:
            count = len(TEXTS) + len(self._photos)
            return [self._answer(number, self._ask(http, number)) for number in range(count)]

    def upload_now(self) -> str:
        """One more photo; its id."""
        with httpx.Client(base_url=self.url, timeout=60) as http:
            self._upload(http, next(self._numbers))
        return self.uploaded[-1]

    def _repeat(self, call: Callable[[httpx.Client, int], None], pause_s: float) -> None:
        due = time.monotonic()
        with httpx.Client(base_url=self.url, timeout=60) as http:
            while not self._stopping.wait(due - time.monotonic()):
                due = max(due + pause_s, time.monotonic())
                try:
                    call(http, next(self._numbers))
                except (httpx.HTTPError, AssertionError) as error:
                    self.failures.append(repr(error))

    def _search(self, http: httpx.Client, number: int) -> None:
        self.answers.append(self._answer(number, self._ask(http, number)))

    def _ask(self, http: httpx.Client, number: int) -> httpx.Response:
        kind = number % (len(TEXTS) + len(self._photos))
        if kind < len(TEXTS):
            return http.get("/v1/search", params={"q": TEXTS[kind], "limit": _LIMIT})
        files = {"photo": ("p.jpg", self._photos[kind - len(TEXTS)])}
        return http.post("/v1/search/image", files=files, data={"limit": str(_LIMIT)})

    def _answer(self, number: int, response: httpx.Response) -> Answer:
        assert response.status_code == 200, response.text
        body: JsonDict = response.json()
        scores = {hit["image_id"]: hit["score"] for hit in body["items"]}
        question = str(number % (len(TEXTS) + len(self._photos)))
        return Answer(question, body["model_id"], scores)

    def _upload(self, http: httpx.Client, number: int) -> None:
        data = drawing_at(number, seed=78).to_jpeg()
        response = http.post("/v1/images", files={"photos": (f"{number}.jpg", data)})
        assert response.status_code == 202, response.text
        self.uploaded.append(image_id_of(sha256_of(data)))


def inconsistent(answers: Sequence[Answer], truth: Sequence[Answer], tolerance: float) -> list[str]:
    """Answers whose scores are not those of the model they name, by answers of quiet moments."""
    known: dict[tuple[str, str, str], float] = {
        (true.question, true.model_id, image_id): score
        for true in truth
        for image_id, score in true.scores.items()
    }
    return [
        f"{answer.model_id}, question {answer.question}, {image_id}: {score} instead of {wanted}"
        for answer in answers
        for image_id, score in answer.scores.items()
        if (wanted := known.get((answer.question, answer.model_id, image_id))) is not None
        and abs(score - wanted) > tolerance
    ]
