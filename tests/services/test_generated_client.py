"""A client that openapi-python-client generates from the OpenAPI document does the main job."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import pictures

PACKAGE = "generated_petsearch"
ANIMAL = "generated-1"
JPEGS = [pictures.jpeg(number) for number in (83_001, 83_002)]
CONFIG = """
content_type_overrides: {image/jpeg: application/octet-stream, image/*: application/octet-stream}
post_hooks: []
"""
"""The generator knows no pictures as responses; the hooks would format what nobody reads."""


def generate(server_url: str, folder: Path) -> None:
    """The client's package into a folder; a warning of the generator is an error."""
    folder.joinpath("config.yml").write_text(CONFIG)
    folder.joinpath("openapi.json").write_bytes(httpx.get(f"{server_url}/openapi.json").content)
    program = Path(sys.executable).with_name("openapi-python-client")
    options = ("--path", "openapi.json", "--output-path", PACKAGE, "--config", "config.yml")
    done = subprocess.run(
        [program, "generate", *options, "--meta", "none", "--fail-on-warning"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def file(name: str, jpeg: bytes) -> Any:
    """A file as the generated client takes it."""
    types = importlib.import_module(f"{PACKAGE}.types")
    return types.File(payload=BytesIO(jpeg), file_name=name, mime_type="image/jpeg")


def events(stream: str, models: Any) -> Iterator[Any]:
    """The events of a job from the text of a stream, as `JobEvent`."""
    for frame in stream.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines())
        parsed = {"data": json.loads(fields["data"]), "retry": int(fields["retry"])}
        yield models.JobEvent.from_dict({**fields, **parsed})


def test_it_uploads_watches_searches_changes_and_deletes(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(server_url, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    models = importlib.import_module(f"{PACKAGE}.models")
    unopened = importlib.import_module(PACKAGE).Client(server_url, timeout=httpx.Timeout(60))

    def call(name: str, *arguments: object, **named: object) -> Any:
        operation = importlib.import_module(f"{PACKAGE}.api.{name}")
        return operation.sync(*arguments, client=client, **named)

    with unopened as client:
        photos = [file(f"{number}.jpg", jpeg) for number, jpeg in enumerate(JPEGS)]
        metadata = json.dumps({"animal_id": ANIMAL, "attributes": {"collar": "red"}})
        form = models.UploadImagesForm(photos=photos, metadata=metadata)
        job = call("images.upload_images", body=form)
        *_, last = events(call("jobs.watch_job", job.job_id), models)
        assert (last.data.state, last.data.counts.ingested) == (models.JobState.SUCCEEDED, 2)

        found = call("search.search_by_text", q="a drawing", animal_id=ANIMAL, limit=5)
        assert len(found.items) == 2
        looked_up = models.SearchByPhotoForm(photo=file("x.jpg", JPEGS[1]), animal_id=ANIMAL)
        best = call("search.search_by_photo", body=looked_up).items[0]
        assert (best.filename, best.attributes["collar"]) == ("1.jpg", "red")

        patch = models.ImagePatch(status="adopted", animal_id=None)
        changed = call("images.patch_image", best.image_id, body=patch)
        assert (changed.status, changed.animal_id) == ("adopted", None)
        assert call("images.get_display", best.image_id).payload.read(2) == b"\xff\xd8"

        assert call("images.delete_images_by_animal", animal_id=ANIMAL).deleted == 1
        call("images.delete_image", best.image_id)
        gone = call("images.get_image", best.image_id)
        assert isinstance(gone, models.Problem)
        assert gone.status == 404
