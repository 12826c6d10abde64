"""The API as the load test runs it: over Qdrant Edge, with an embedder that needs no model.

`python -m bench.api_server FOLDER POINTS` serves on a free port, prints it, and then reads commands
from standard input: `bare WORKLOAD START COUNT` sends the same queries to the index in this
process, `cpu` prints the CPU time used so far, and `profile FILE` writes what `--profile` recorded
since `forget`.
"""

import cProfile
import json
import os
import pstats
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, cast

import typer
import uvicorn

from bench.api_workloads import LIMIT, WORKLOADS, Question, Workload
from bench.stand_in_embedder import StandInEmbedder
from petsearch.app.services import Services, build_services
from petsearch.domain import Embedding
from petsearch.embedding import embed_prompted
from petsearch.observability import configure_logging
from petsearch.settings import Settings
from services.api.app import build_app


def settings_for(folder: Path) -> Settings:
    """Settings with everything in one folder, and without keys."""
    return Settings(
        embedder_url="local:",
        index_url=f"edge:{folder / 'index'}",
        store_url=f"file:{folder / 'objects'}",
        redis_url=f"local:{folder / 'redis'}",
        model="sample",
        allow_no_keys=True,
        log_json=True,
    )


class BareIndex:
    """Sends the API's queries directly to the index."""

    def __init__(self, services: Services, points: int) -> None:
        self._services = services
        self._points = points
        self._target = services.search.target()
        self._embeddings: dict[str, Embedding] = {}

    def prepare(self, workload: Workload, start: int, count: int) -> list[Question]:
        """Embed the texts of all queries."""
        asked = [WORKLOADS[workload](start + number, self._points) for number in range(count)]
        model = self._target.model
        for text in {question.text for question in asked} - {None, *self._embeddings}:
            rows = embed_prompted(
                self._services.parts.embedder, model, [str(text)], model.prompt_templates
            )
            self._embeddings[str(text)] = rows[0]
        return asked

    def ask(self, question: Question) -> None:
        """Run one search with as many results as the API requests: a page, and one more."""
        index, collection = self._services.storage.index, self._target.collection
        if question.image_id is not None:
            embedding = index.get_embedding(collection, question.image_id)
        else:
            embedding = self._embeddings[str(question.text)]
        index.search(collection, embedding, limit=LIMIT + 1, filters=question.filters)


def main(
    folder: Annotated[Path, typer.Argument()],
    points: Annotated[int, typer.Argument()],
    *,
    profile: Annotated[bool, typer.Option("--profile")] = False,
) -> None:
    """Serve until standard input is closed."""
    settings = settings_for(folder)
    configure_logging(level=settings.log_level, json=settings.log_json)
    embedder = StandInEmbedder()
    services = build_services(settings, embedder=embedder)
    profiles = _profile_new_threads() if profile else []
    server = uvicorn.Server(
        uvicorn.Config(build_app(services), log_config=None, access_log=False, lifespan="off")
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        serving = threading.Thread(target=server.run, args=([listener],), name="serving")
        serving.start()
        while not server.started and serving.is_alive():
            time.sleep(0.01)
        _say({"port": listener.getsockname()[1], "pid": os.getpid()})
        _obey(BareIndex(services, points), embedder, profiles)
        server.should_exit = True
        serving.join()
    services.close()


def _obey(bare: BareIndex, embedder: StandInEmbedder, profiles: list[cProfile.Profile]) -> None:
    for line in sys.stdin:
        order, *arguments = line.rstrip("\n").split("\t")
        if order == "bare":
            workload, start, count = arguments
            _say(_measure_bare(bare, cast(Workload, workload), int(start), int(count)))
        elif order == "forget":
            for profile in profiles:
                profile.clear()
            _say({})
        elif order == "profile":
            _write_profile(profiles, Path(arguments[0]))
            _say({})
        else:
            _say({"cpu_s": time.process_time(), "embedder_calls": embedder.calls})


def _measure_bare(bare: BareIndex, workload: Workload, start: int, count: int) -> dict[str, float]:
    asked = bare.prepare(workload, start, count)
    cpu, wall = time.process_time(), time.perf_counter()
    for question in asked:
        bare.ask(question)
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def _profile_new_threads() -> list[cProfile.Profile]:
    """Profile the event loop and every worker thread that is started from now on."""
    profiles: list[cProfile.Profile] = []

    def begin(*_: object) -> None:
        # The first event of a thread: from here on cProfile takes the place of this function.
        profile = cProfile.Profile()
        profiles.append(profile)
        profile.enable()

    threading.setprofile(begin)
    return profiles


def _write_profile(profiles: list[cProfile.Profile], file: Path) -> None:
    stats = pstats.Stats()
    for profile in profiles:
        profile.create_stats()
        stats.add(profile)
    stats.dump_stats(file)


def _say(answer: dict[str, object] | dict[str, float]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
