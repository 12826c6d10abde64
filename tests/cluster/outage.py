"""A Qdrant node away during an ingest, with changes, deletes and repeats.

`make cluster WHAT=outage`. Then every replica is read by itself; once more with the node's volume
deleted. Needs root, Linux and the program of a Qdrant server.
"""

import functools
import io
import json
import shutil
import statistics
import sys
import tempfile
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer
from PIL import Image

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.client.retries import with_retries
from petsearch.domain import JsonDict, image_id_of, sha256_of
from petsearch.domain.errors import NotFound
from petsearch.sample.catalogue import drawing_at
from tests.cluster.cluster import Cluster
from tests.cluster.replicas import (
    NODES,
    node_that_orders,
    read_replica,
    replace_peer,
    wait_until_whole,
)
from tests.cluster.traffic import Answers, repeated, searches
from tests.processes import UNHURRIED

_SEED = 37
_EDGE_PX = 48
_DRAWINGS = 30
_CHANGED = 20
"""Photos that are changed again and again; each can hold 50 tags."""
_DELETED = 60
_ASKED = 64


@dataclass
class Changes:
    """Conditional changes of some photos: each adds a tag to those that were read."""

    http: httpx.Client
    image_ids: Sequence[str]
    accepted: dict[str, set[str]] = field(default_factory=dict)
    """The tags of the changes that were answered with 200, by image."""
    others: Counter[int] = field(default_factory=Counter)
    """The statuses of the others."""

    def change(self, number: int) -> None:
        """Add one more tag, to one of them."""
        url = f"/v1/images/{self.image_ids[number % len(self.image_ids)]}"
        found = self.http.get(url).raise_for_status()
        tag = uuid.uuid4().hex[:8]
        answer = self.http.patch(
            url,
            json={"tags": [*found.json()["tags"], tag]},
            headers={"If-Match": found.headers["ETag"]},
        )
        if answer.is_success:
            self.accepted.setdefault(found.json()["image_id"], set()).add(tag)
        else:
            self.others[answer.status_code] += 1

    def missing_from(self, points: dict[str, JsonDict]) -> int:
        """How many accepted changes are not in a replica."""
        return sum(
            len(tags - set(points.get(image_id, {}).get("tags", [])))
            for image_id, tags in self.accepted.items()
        )


@dataclass
class Deletes:
    """Deletes of one photo after the other, each until it is answered."""

    client: Client
    image_ids: Sequence[str]
    done: set[str] = field(default_factory=set)

    def delete(self, number: int) -> None:
        """Delete the next one, if there is one."""
        if number >= len(self.image_ids):
            return
        with suppress(NotFound):  # an earlier try was not answered
            with_retries(lambda: self.client.delete_image(self.image_ids[number]))
        self.done.add(self.image_ids[number])


@dataclass
class Traffic:
    """What goes on during an outage, and what became of it."""

    changes: Changes
    deletes: Deletes
    calls: dict[str, Answers]
    """Of searches, of questions which photos are known, of changes and of deletes."""
    jobs: list[JsonDict] = field(default_factory=list)
    """Of the two ingests."""


class Outage:
    """An ingest while a node is away.

    Args:
        photos: of the ingest; a sixth of them comes twice at the same time.
        first: the number of the first drawing.
    """

    def __init__(self, cluster: Cluster, *, photos: int, first: int) -> None:
        self._cluster = cluster
        self._client = Client(",".join(cluster.api_urls))
        self._seeded = [_drawn(first + n) for n in range(_CHANGED + _DELETED)]
        self._sent = [_drawn(first + len(self._seeded) + n) for n in range(photos)]
        self.wrong: list[str] = []
        """What is not as it has to be."""

    def run(self, node: str, *, away_s: float, loses_volume: bool) -> None:
        """Have a node away, and print what was answered and what is in each replica then."""
        self._ingest(self._seeded)
        with ExitStack() as stack:
            traffic = self._start(stack)
            self._wait_for_a_tenth()
            before = {name: len(calls.took_s) for name, calls in traffic.calls.items()}
            self._cluster.parts[node].kill()
            threading.Event().wait(away_s)
            for name, calls in traffic.calls.items():
                _tell(name, calls, before[name])
            self._bring_back(node, loses_volume=loses_volume)
        self._check_jobs(traffic)
        self._check_replicas(traffic)

    def _start(self, stack: ExitStack) -> Traffic:
        ids = [_id_of(photo) for photo in self._seeded]
        http = stack.enter_context(httpx.Client(base_url=self._cluster.api_urls[1], timeout=30))
        changes = Changes(http, ids[:_CHANGED])
        deletes = Deletes(self._client, ids[_CHANGED : _CHANGED + _DELETED])
        job_id = self._client.open_job("asked")["job_id"]
        # They are not there, so that nothing is added to the job.
        asked: list[tuple[str, JsonDict]] = [(f"{number:064x}", {}) for number in range(_ASKED)]

        def ask(_: int) -> None:
            self._client.add_known(job_id, asked, key=uuid.uuid4().hex)

        calls = {
            "searches": stack.enter_context(searches(self._cluster.api_urls)),
            "/known": stack.enter_context(repeated(ask, 0.5)),
            "changes": stack.enter_context(repeated(changes.change, 0.5)),
            "changes beside them": stack.enter_context(repeated(changes.change, 0.5)),
            "deletes": stack.enter_context(repeated(deletes.delete, 1.0)),
        }
        traffic = Traffic(changes, deletes, calls)
        for photos in (self._sent, self._sent[: len(self._sent) // 6]):
            thread = threading.Thread(target=self._ingest_beside, args=(photos, traffic.jobs))
            thread.start()
            stack.callback(thread.join)
        return traffic

    def _ingest(self, photos: Sequence[Photo]) -> JsonDict:
        return upload(self._client, PhotoSource(iter(photos), len(photos)), name="outage")

    def _ingest_beside(self, photos: Sequence[Photo], jobs: list[JsonDict]) -> None:
        jobs.append(self._ingest(photos))

    def _wait_for_a_tenth(self) -> None:
        pausing, index = threading.Event(), self._cluster.open_index()
        current, ids = index.current(), [_id_of(photo) for photo in self._sent]
        assert current is not None
        while len(index.known_ids(current, ids)) < len(ids) // 10:
            pausing.wait(0.5)
        index.close()

    def _bring_back(self, node: str, *, loses_volume: bool) -> None:
        other = next(one for one in NODES if one != node)
        if loses_volume:
            replace_peer(self._cluster, node, other)
        else:
            self._cluster.parts[node].start()
            self._cluster.parts[node].wait_until_up()

    def _check_jobs(self, traffic: Traffic) -> None:
        counts = Counter[str]()
        for job in traffic.jobs:
            counts += Counter(job["counts"])
        _say(f"items: {dict(counts)}")
        self._expect("refused or failed", counts["refused"] + counts["failed"])
        self._expect("ingested twice", counts["ingested"] - len(self._sent))
        share = len(traffic.calls["searches"].at) / max(1, traffic.calls["searches"].total)
        self._expect("searches below 99 %", int(share < 0.99))

    def _check_replicas(self, traffic: Traffic) -> None:
        index = self._cluster.open_index()
        current = index.current()
        assert current is not None
        wait_until_whole(self._cluster, current)
        replicas = {node: read_replica(self._cluster, node, current) for node in NODES}
        wanted = {_id_of(photo) for photo in (*self._seeded, *self._sent)} - traffic.deletes.done
        accepted = sum(map(len, traffic.changes.accepted.values()))
        _say(f"changes: {accepted} accepted, others {dict(traffic.changes.others)}")
        _say(f"deleted: {len(traffic.deletes.done)}")
        for node, points in replicas.items():
            self._expect(f"{node}: photos lost", len(wanted - set(points)))
            self._expect(f"{node}: accepted changes lost", traffic.changes.missing_from(points))
            self._expect(f"{node}: deleted photos back", len(traffic.deletes.done & set(points)))
        self._expect(
            "photos with several first_seen",
            _different(replicas, wanted, lambda point: point.get("first_seen")),
        )
        self._expect(
            "photos that differ between replicas",
            _different(replicas, wanted, lambda point: point),
        )
        index.close()

    def _expect(self, what: str, count: int) -> None:
        """A count that has to be none."""
        _say(f"{what}: {count}")
        if count:
            self.wrong.append(f"{what}: {count}")


def _tell(name: str, calls: Answers, before: int) -> None:
    """How long calls took, before the node was lost and since."""
    parts = [("before", calls.took_s[:before]), ("while away", calls.took_s[before:])]
    took = "; ".join(
        f"{when} median {statistics.median(took_s):.3f} s, longest {max(took_s):.1f} s"
        for when, took_s in parts
        if took_s
    )
    _say(f"{name}: {calls} answered; {took}")
    for failure, count in Counter(one.splitlines()[0][:60] for one in calls.failures).items():
        _say(f"  {count} times {failure}")


def _different(
    replicas: dict[str, dict[str, JsonDict]],
    image_ids: Iterable[str],
    part: Callable[[JsonDict], object],
) -> int:
    """How many points are not the same in all replicas."""
    return sum(
        len({_text_of(part(points.get(image_id, {}))) for points in replicas.values()}) > 1
        for image_id in image_ids
    )


def _text_of(part: object) -> str:
    """The same for the same values: nodes return fields in any order."""
    return json.dumps(part, sort_keys=True)


def _drawn(number: int) -> Photo:
    """A small drawing with a mark, so that no other number has the same bytes."""
    image = _drawing(number % _DRAWINGS).copy()
    mark = (number % 256, number // 256 % 256, number // 65536)
    image.paste(mark, (0, 0, _EDGE_PX // 3, _EDGE_PX // 3))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Photo(f"{number:06d}.png", buffer.getvalue())


@functools.cache
def _drawing(number: int) -> Image.Image:
    return drawing_at(number, _SEED).image.resize((_EDGE_PX, _EDGE_PX))


def _id_of(photo: Photo) -> str:
    return image_id_of(sha256_of(photo.data))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(
    qdrant: Annotated[Path, typer.Option(envvar="PETSEARCH_TEST_QDRANT", exists=True)],
    photos: Annotated[int, typer.Option(help="Of the ingest.")] = 1800,
    again: Annotated[int, typer.Option(help="Of the one whose node loses its volume.")] = 600,
    away: Annotated[float, typer.Option(help="Seconds for which the node is away.")] = 60.0,
    node: Annotated[str, typer.Option(help="Which one; by default the one that orders.")] = "",
    logs: Annotated[Path | None, typer.Option(help="Keep logs and data in this folder.")] = None,
) -> None:
    """Have a node away, twice, and say what is there then."""
    folder = logs or Path(tempfile.mkdtemp(prefix="petsearch-outage-"))
    wrong: list[str] = []
    # A folder, because what stands in for S3 would be the slowest part.
    env = {**UNHURRIED, "PETSEARCH_STORE_URL": f"file:{folder / 'objects'}"}
    with Cluster(folder, qdrant.resolve(), env=env) as cluster:
        for count, loses_volume in ((photos, False), (again, True)):
            lost = node or node_that_orders(cluster)
            _say(f"{lost} away for {away:.0f} s{', its volume deleted' if loses_volume else ''}")
            outage = Outage(cluster, photos=count, first=100_000 * loses_volume)
            outage.run(lost, away_s=away, loses_volume=loses_volume)
            wrong += outage.wrong
    if wrong:
        _say("WRONG: " + "; ".join(wrong) + f". The logs are in {folder / 'logs'}.")
        raise typer.Exit(1)
    if logs is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
