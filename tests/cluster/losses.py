"""Each part lost once, killed and cut off, under searches, an ingest and a reindex: `make cluster`.

Prints one table. Needs root, Linux and the program of a Qdrant server.
"""

import itertools
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.client.retries import with_retries
from petsearch.domain import image_id_of, sha256_of
from petsearch.sample.catalogue import drawing_at
from tests.cluster.cluster import HOSTS, Cluster
from tests.cluster.models import publish, replace
from tests.cluster.traffic import Ingest, finished, gap_s, probes, searches

PARTS = ("qdrant-1", "embedder-1", "api-1", "worker-1", "redis", "s3", HOSTS[0])
WAYS = ("killed", "cut off")
_HEADER = (
    "| lost | how | searches answered | longest gap: search | ingest | `/readyz` | lost | doubled |"
)
_SEED = 21


@dataclass(frozen=True)
class Row:
    """What one loss did."""

    part: str
    way: str
    searches: str
    search_gap_s: float
    ingest_gap_s: float
    ready_gap_s: float
    lost: int
    doubled: int

    def __str__(self) -> str:
        gaps = (self.search_gap_s, self.ingest_gap_s, self.ready_gap_s)
        cells = (self.part, self.way, self.searches, *(f"{gap:.1f} s" for gap in gaps))
        return "| " + " | ".join((*cells, str(self.lost), str(self.doubled))) + " |"


class Photos:
    """Drawings that are sent once each, and which they are."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.sent: set[str] = set()
        """The ids of their images."""

    def take(self, count: int) -> Iterator[Photo]:
        """So many more."""
        for number in itertools.islice(self._numbers, count):
            data = drawing_at(number, _SEED).to_jpeg()
            self.sent.add(image_id_of(sha256_of(data)))
            yield Photo(f"{number:05d}.jpg", data)


class Losses:
    """Takes parts of a cluster away, and counts.

    Args:
        away_s: how long each is away.
        photos: of each ingest.
    """

    def __init__(self, cluster: Cluster, folder: Path, *, photos: int, away_s: float) -> None:
        self._cluster = cluster
        self._client = Client(",".join(cluster.api_urls))
        self._photos = Photos()
        self._per_loss = photos
        self._away_s = away_s
        store = cluster.open_store()
        published = [publish(store, folder / f"model-{seed}", seed=seed) for seed in (1, 2)]
        self._models = itertools.cycle(published)

    def begin(self, photos: int) -> None:
        """Have so many photos there before anything is lost."""
        job = upload(self._client, PhotoSource(self._photos.take(photos), photos), name="before")
        assert job["counts"]["ingested"] == photos, job

    def lose(self, part: str, way: str) -> Row:
        """One row of the table."""
        began = time.time()
        photos = self._photos.take(self._per_loss)
        with (
            searches(self._cluster.api_urls) as searched,
            probes(self._cluster.api_urls) as probed,
            Ingest(self._client, photos, self._away_s / self._per_loss) as ingest,
        ):
            model = next(self._models)
            reindex = with_retries(lambda: self._client.reindex(model))
            self._strike(part, way)
            job = ingest.finish()
            ingested = time.time()
            built = finished(self._client, reindex["job_id"])
            replace(self._client, model)
        ready = [moment for answers in probed for moment in answers.at]
        outcomes = Counter(item["filename"] for item in self._client.job_items(job["job_id"]))
        twice = sum(count - 1 for count in outcomes.values())
        for failure in {*searched.failures, str(built["counts"])}:
            typer.echo(f"  {failure}", err=True)
        return Row(
            part,
            way,
            str(searched),
            gap_s(searched.at, began, time.time()),
            gap_s(self._created_at(), began, ingested),
            gap_s(ready, began, time.time()),
            self._lost(),
            twice + job["counts"]["duplicate"] + max(0, job["total"] - self._per_loss),
        )

    def _strike(self, part: str, way: str) -> None:
        machines = self._cluster.machines_of(part)
        pausing = threading.Event()
        pausing.wait(1.0)
        typer.echo(f"{part} {way}", err=True)
        if way == "killed":
            for one in machines:
                self._cluster.parts[one].kill()
        else:
            self._cluster.network.cut(part)
        pausing.wait(self._away_s)
        if way == "killed":
            for one in machines:
                self._cluster.parts[one].start()
        else:
            self._cluster.network.restore(part)
        for one in machines:
            self._cluster.parts[one].wait_until_up()

    def _created_at(self) -> list[float]:
        index = self._cluster.open_index()
        current = index.current()
        assert current is not None
        records = index.get(current, sorted(self._photos.sent)).values()
        index.close()
        return [record.created_at.timestamp() for record in records]

    def _lost(self) -> int:
        """Photos that are not in the index, or lack an object."""
        index, store = self._cluster.open_index(), self._cluster.open_store()
        current = index.current()
        assert current is not None
        there = set(index.get(current, sorted(self._photos.sent)))
        index.close()
        for kind in ("originals", "display", "thumbs"):
            there &= {Path(key).name.removesuffix(".jpg") for key in store.list_keys(f"{kind}/")}
        return len(self._photos.sent - there)


def main(
    qdrant: Annotated[Path, typer.Option(envvar="PETSEARCH_TEST_QDRANT", exists=True)],
    photos: Annotated[int, typer.Option(help="Of each ingest.")] = 120,
    before: Annotated[int, typer.Option(help="Photos that are there.")] = 240,
    away: Annotated[float, typer.Option(help="Seconds for which each part is away.")] = 20.0,
    only: Annotated[str, typer.Option(help="Parts to lose, with commas.")] = ",".join(PARTS),
    logs: Annotated[Path | None, typer.Option(help="Keep logs and data in this folder.")] = None,
) -> None:
    """Print the table of losses."""
    folder = logs or Path(tempfile.mkdtemp(prefix="petsearch-losses-"))
    rows = []
    with Cluster(folder, qdrant.resolve()) as cluster:
        losses = Losses(cluster, folder, photos=photos, away_s=away)
        losses.begin(before)
        for part, way in itertools.product(only.split(","), WAYS):
            rows.append(losses.lose(part, way))
            typer.echo(str(rows[-1]), err=True)
    typer.echo("\n".join([_HEADER, "|---" * 8 + "|", *map(str, rows)]))
    if any(row.lost or row.doubled for row in rows):
        typer.echo(f"WRONG: photos were lost or doubled. The logs are in {folder / 'logs'}.")
        raise typer.Exit(1)
    if logs is None:
        shutil.rmtree(folder)


if __name__ == "__main__":
    typer.run(main)
