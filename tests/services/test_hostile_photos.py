"""Hostile photos beside good ones: in a job, in a search, and when the job is cancelled."""

import threading
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from bench import attack_files
from petsearch.app.services import build_services
from petsearch.domain import ImageMetadata, ItemStatus, JobState
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.jobs import Upload
from petsearch.photos import Decoders, ImageLimits
from services.api.app import build_app
from tests import pictures
from tests.contract.tiny_clip import TinyClip
from tests.services.house import House, photo, settings_in
from tests.waiting import in_thread, wait_until


def slow(number: int) -> Upload:
    """A photo that takes long, different for every number."""
    return Upload(attack_files.run_length_bmp(10_000 + number), ImageMetadata())


def test_hostile_photos_are_refused_and_the_others_of_their_chunk_are_not(house: House) -> None:
    lies = Upload(attack_files.tiled_tiff(46_000), ImageMetadata())
    job_id = house.open_job(photo(1), lies, slow(0), photo(2))
    house.run()
    assert house.counts(job_id) == {"ingested": 2, "refused": 2}
    reasons = [outcome.reason for outcome in house.outcomes(job_id, ItemStatus.REFUSED)]
    assert ["2116 MB" in str(reason) for reason in reasons] == [True, False]
    assert "processor time" in str(reasons[1])


def test_a_cancelled_job_stops_decoding(house: House) -> None:
    job_id = house.open_job(*(slow(number) for number in range(12)))
    decoders = house.services.parts.decoders
    before = decoders.process_ids
    working = in_thread(house.run)
    # Its first photos have cost their processes.
    wait_until(lambda: bool(decoders.process_ids - before))
    house.jobs.cancel(job_id)
    working.join()
    job = house.jobs.get(job_id)
    assert job.state is JobState.CANCELLED
    assert sum(house.counts(job_id).values()) <= 6


@pytest.fixture
def quick() -> Decoders:
    return Decoders(ImageLimits(max_decode_s=0.5), processes=1, most_waiting=0, niceness=0)


def test_a_search_by_a_hostile_photo_is_refused_and_others_are_told_to_wait(
    tmp_path: Path, quick: Decoders
) -> None:
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    settings = settings_in(tmp_path, allow_no_keys=True)
    settings = settings.model_copy(update={"request_deadline_s": 60.0})
    services = build_services(settings, embedder=embedder, decoders=quick)
    services.initialise()
    statuses = list[int]()
    try:
        with TestClient(build_app(services), base_url="http://127.0.0.1") as api:

            def search(data: bytes) -> None:
                answer = api.post("/v1/search/image", files={"photo": ("x", data)})
                statuses.append(answer.status_code)
                if answer.status_code == 429:
                    assert int(answer.headers["Retry-After"]) > 0

            search(pictures.jpeg(1))
            many = [
                threading.Thread(target=search, args=(attack_files.run_length_bmp(10_000),))
                for _ in range(4)
            ]
            for thread in many:
                thread.start()
            for thread in many:
                thread.join()
            search(pictures.jpeg(1))
    finally:
        services.close()
        quick.close()
    assert statuses[0] == statuses[-1] == 200
    assert set(statuses[1:-1]) == {413, 429}
