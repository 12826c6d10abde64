"""Three embedders behind one name while the model is replaced: one is killed, a fourth is added.

Needs root, Linux and the program of a Qdrant server.
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import httpx
import typer

from petsearch.client import Client, PhotoSource, upload
from tests.cluster.cluster import Cluster
from tests.cluster.losses import Photos
from tests.cluster.models import publish, replace
from tests.cluster.traffic import finished, gap_s, searches

_PATIENCE_S = 120.0


def main(
    qdrant: Annotated[Path, typer.Option(envvar="PETSEARCH_TEST_QDRANT", exists=True)],
    photos: Annotated[int, typer.Option(help="Photos that are there.")] = 300,
    logs: Annotated[Path | None, typer.Option(help="Keep logs and data in this folder.")] = None,
) -> None:
    """Publish, reindex, promote and drop under searches."""
    folder = logs or Path(tempfile.mkdtemp(prefix="petsearch-embedders-"))
    with Cluster(folder, qdrant.resolve()) as cluster:
        is_right = _replace_model(cluster, folder, photos)
    if not is_right:
        raise typer.Exit(1)
    if logs is None:
        shutil.rmtree(folder)


def _replace_model(cluster: Cluster, folder: Path, photos: int) -> bool:
    client = Client(",".join(cluster.api_urls))
    _add(cluster, "embedder-3", "embedder-1", "embedder-2")
    upload(client, PhotoSource(Photos().take(photos), photos), name="before")
    new = publish(cluster.open_store(), folder / "model", seed=1)
    began = time.time()
    with searches(cluster.api_urls) as searched:
        job_id = client.reindex(new)["job_id"]
        cluster.parts["embedder-1"].kill()
        threading.Event().wait(5.0)  # its address is still behind the name
        _add(cluster, "embedder-4", "embedder-2", "embedder-3")
        built = finished(client, job_id)
        replace(client, new)
        left = ("embedder-2", "embedder-3", "embedder-4")
        agree = _all_serve(cluster, new, left)
    typer.echo(
        f"searches: {searched} answered, longest gap {gap_s(searched.at, began, time.time()):.1f} s"
    )
    typer.echo(f"reindex: {built['counts']}; {', '.join(left)} serve the new model alone: {agree}")
    return agree and not searched.failures and not built["counts"]["failed"]


def _add(cluster: Cluster, name: str, *others: str) -> None:
    """Start one more embedder, and have the name stand for it too when it answers."""
    cluster.parts[name].start()
    cluster.parts[name].wait_until_up()
    cluster.name_embedders(*others, name)


def _all_serve(cluster: Cluster, model_id: str, names: tuple[str, ...]) -> bool:
    """Whether all of them come to have just this model."""
    pausing, deadline = threading.Event(), time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if all(_models_of(cluster.url(name, 8100)) == [model_id] for name in names):
            return True
        pausing.wait(0.5)
    return False


def _models_of(url: str) -> list[str]:
    listed = httpx.get(f"{url}/v1/models", timeout=30).raise_for_status().json()
    return [model["model_id"] for model in listed["models"]]


if __name__ == "__main__":
    typer.run(main)
