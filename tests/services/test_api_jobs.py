"""Jobs over HTTP on a running server: sources it reads, the course of a job, its events."""

import io
import json
import zipfile
from pathlib import Path

import httpx
import pytest

from petsearch.client import Client, Photo
from petsearch.domain.errors import Conflict, InvalidInput, NotFound
from tests import pictures


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three photos and a page, in a zip."""
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as file:
        for seed in range(900, 903):
            file.writestr(f"pets/{seed}.jpg", pictures.jpeg(seed))
        file.writestr("page.jpg", pictures.HTML)
    return path


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    """Ids and data of server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append((fields["id"], json.loads(fields["data"])))
    return found


def test_an_archive_is_uploaded_read_and_watched(client: Client, archive: Path) -> None:
    job = client.upload_source("archive", archive)
    assert job["source"] == "archive pets.zip"
    seen = list(client.watch_job(job["job_id"]))
    last = seen[-1]
    assert last["state"] == "partly_failed"
    assert last["counts"]["ingested"] + last["counts"]["duplicate"] == 3
    assert last["counts"]["refused"] == 1
    assert (last["total"], last["expected"]) == (4, 4)
    (problem,) = client.job_items(job["job_id"], "refused")
    assert problem["filename"] == "page.jpg"


def test_the_columns_of_an_uploaded_manifest_are_mapped(client: Client, tmp_path: Path) -> None:
    table = tmp_path / "tiere.csv"
    table.write_text("Bild;Tier;Rasse;Notiz\n/etc/hostname;A-1;Mops;x\n", encoding="utf-16")
    columns = {"Bild": "path", "tier": "animal_id", "Notiz": None}
    job = client.upload_source("manifest", table, columns=columns)
    last = list(client.watch_job(job["job_id"]))[-1]
    assert last["counts"]["refused"] == 1
    (problem,) = client.job_items(job["job_id"])
    assert problem["filename"] == "hostname"
    assert "PETSEARCH_IMPORT_DIRS" in problem["reason"]
    assert last["left_out"] == {
        "counts": {"column": 1},
        "names": [{"name": "Rasse", "reason": "column"}],
    }


@pytest.mark.parametrize(
    ("kind", "columns", "says"),
    [
        ("manifest", '{"Bild": "picture"}', "Unknown column 'picture'. Accepted: animal_id"),
        ("manifest", '{"Bild": 7}', "columns.Bild"),
        ("manifest", "Bild=path", "columns is not valid JSON"),
        ("manifest", '{"Bild": "path", "Bild": "key"}', "'Bild' is given more than once"),
        ("manifest", json.dumps({str(n): None for n in range(201)}), "at most 200 items"),
        ("manifest", json.dumps({"x" * 201: None}), "at most 200 characters"),
        ("archive", '{"Bild": "path"}', "columns"),
    ],
)
def test_columns_that_cannot_be_mapped_are_refused(
    http: httpx.Client, kind: str, columns: str, says: str
) -> None:
    answer = http.post(
        "/v1/jobs/upload",
        files={"file": ("t.csv", io.BytesIO(b"Bild\na.jpg\n"))},
        data={"kind": kind, "columns": columns},
    )
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


def test_more_urls_than_a_request_takes_are_sent_as_a_manifest(client: Client) -> None:
    job = client.read_urls(["http://127.0.0.1/a.jpg"] * 10_001)
    assert job["source"] == "manifest urls.jsonl"
    client.control_job(job["job_id"], "cancel")


def test_events_go_on_after_the_last_one_that_was_seen(client: Client, http: httpx.Client) -> None:
    job_id = client.open_job("test")["job_id"]
    client.add_photos(job_id, [Photo("a.jpg", pictures.jpeg(910))])
    client.seal_job(job_id)
    first = events(http.get(f"/v1/jobs/{job_id}/events").text)
    last_id, last = first[-1]
    assert last["state"] == "succeeded"
    assert [int(event_id) for event_id, _ in first] == sorted({int(i) for i, _ in first})
    again = http.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last_id})
    assert again.status_code == 204, "the final state was seen"
    for unknown in (b"0", "\u00b2".encode("latin-1"), b"x"):
        from_before = http.get(f"/v1/jobs/{job_id}/events", headers={b"Last-Event-ID": unknown})
        assert events(from_before.text)[-1] == (last_id, last)


def test_the_events_of_no_job_are_not_found(http: httpx.Client) -> None:
    answer = http.get("/v1/jobs/nope/events")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_job_is_paused_resumed_and_cancelled(client: Client) -> None:
    job_id = client.open_job("test")["job_id"]
    assert client.control_job(job_id, "pause")["state"] == "paused"
    client.add_photos(job_id, [Photo("a.jpg", pictures.jpeg(911))])
    assert client.job(job_id)["done"] == 0
    client.control_job(job_id, "resume")
    client.seal_job(job_id)
    assert list(client.watch_job(job_id))[-1]["counts"]["ingested"] == 1
    for action in ("pause", "resume", "cancel"):
        with pytest.raises(Conflict, match="ended"):
            client.control_job(job_id, action)
    with pytest.raises(Conflict, match="No item"):
        client.control_job(job_id, "retry")
    other = client.open_job("test")["job_id"]
    assert client.control_job(other, "cancel")["state"] == "cancelled"
    with pytest.raises(Conflict):
        client.add_photos(other, [Photo("a.jpg", pictures.jpeg(911))])


def test_a_deleted_job_is_not_found(client: Client) -> None:
    job_id = client.open_job("test")["job_id"]
    with pytest.raises(Conflict, match="cancel it first"):
        client.delete_job(job_id)
    client.control_job(job_id, "cancel")
    client.delete_job(job_id)
    with pytest.raises(NotFound):
        client.job(job_id)


def test_an_upload_that_is_repeated_counts_once(client: Client) -> None:
    job_id = client.open_job("test")["job_id"]
    photos = [Photo("a.jpg", pictures.jpeg(912))]
    for _ in range(2):
        client.add_photos(job_id, photos, key="batch-1")
    assert client.seal_job(job_id)["total"] == 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"type": "archive", "path": "/etc/passwd"}, "PETSEARCH_IMPORT_DIRS"),
        ({"type": "urls", "urls": ["http://127.0.0.1/a.jpg"]}, "PETSEARCH_URL_INGEST"),
        ({"type": "s3", "bucket": "b"}, "run petsearch as services"),
        ({"type": "archive"}, "path or key"),
        ({"type": "dataset", "name": "/etc"}, "PETSEARCH_IMPORT_DIRS"),
    ],
)
def test_a_source_that_is_not_allowed_is_refused(
    client: Client, source: dict[str, object], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        client.read_source(source)


def test_a_file_that_is_no_archive_fails_its_job_with_the_reason(
    http: httpx.Client, client: Client
) -> None:
    answer = http.post("/v1/jobs/upload", files={"file": ("x.zip", io.BytesIO(b"no archive"))})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['job_id']}"
    job = list(client.watch_job(answer.json()["job_id"]))[-1]
    assert (job["state"], job["total"]) == ("failed", 0)
    assert "archive" in job["reason"]


@pytest.mark.parametrize("written", [0, 1, "true", "no"])
@pytest.mark.parametrize("name", ["gps", "exif_dates"])
def test_a_switch_in_json_is_true_or_false(
    http: httpx.Client, name: str, written: str | int
) -> None:
    answer = http.post("/v1/jobs", json={"source": "upload", name: written})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"{name}: must be")
