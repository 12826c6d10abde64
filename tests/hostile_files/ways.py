"""The ways into a server that a file can take, and what is said of it there."""

import io
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from petsearch.client import Client, Photo
from petsearch.domain import JsonDict
from petsearch.domain.errors import PetsearchError
from tests.hostile_files import HostileFile

_MOST_ITEMS = 300
"""Of a job that are looked at."""
# What only who wrote the program can understand.
_FRAMEWORK = re.compile(
    r"PIL\b|Pillow|lib(jpeg|tiff|png|webp|heif)|zlib|lzma|bz2|arrow|openpyxl|numpy|[Tt]raceback"
    r"|[Ee]rrno|\b\w+(Error|Exception)\b|NoneType|0x[0-9a-f]{5}|object at|struct\b|codec"
    r"|Invalid: |IOError|index out of|unpack requires|unexpected"
)


@dataclass
class Verdict:
    """What became of a file."""

    accepted: int = 0
    refused: int = 0
    problems: list[str] = field(default_factory=list)
    """What is missing or wrong in what is said."""

    def reason(self, text: object) -> None:
        """Check why something was refused."""
        if not isinstance(text, str) or len(text) < 10:
            self.problems.append(f"no reason: {text!r}")
        elif found := _FRAMEWORK.search(text):
            self.problems.append(f"{found[0]!r} in {text[:200]!r}")


@dataclass(frozen=True)
class Ways:
    """Sends files to a server. Photos that it takes are deleted, so that each file is new."""

    client: Client
    folder: Path
    """What the server may import."""

    def of(self, file: HostileFile) -> Mapping[str, Callable[[HostileFile], Verdict]]:
        """The ways of a file, by name."""
        ways = {
            "upload": self.upload,
            "search": self.search,
            "archive": self.archive,
            "manifest": self.manifest,
        }
        return ways | ({"data set": self.data_set} if file.kind == "parquet" else {})

    def upload(self, file: HostileFile) -> Verdict:
        """As a photo of a job."""
        return self._job(lambda: self._with_photos([file]))

    def search(self, file: HostileFile) -> Verdict:
        """As the photo of a search."""
        verdict = Verdict()
        try:
            self.client.search_photo(file.data)
            verdict.accepted += 1
        except PetsearchError as error:
            verdict.refused += 1
            verdict.reason(error.detail)
        return verdict

    def archive(self, file: HostileFile) -> Verdict:
        """In a zip if it is a photo, otherwise as the archive."""
        return self._job(lambda: self._uploaded("archive", file.filename, as_archive(file)))

    def manifest(self, file: HostileFile) -> Verdict:
        """By its path if it is a photo, otherwise as the manifest."""
        data = file.data
        if file.family == "photo":
            place = self._new_folder() / file.filename
            place.write_bytes(data)
            data = f"path\n{place}\n".encode()
        return self._job(lambda: self._uploaded("manifest", file.filename, data))

    def data_set(self, file: HostileFile) -> Verdict:
        """In a folder that the server may import."""
        place = self._new_folder()
        (place / "train.parquet").write_bytes(file.data)
        source = {"type": "dataset", "name": str(place), "label_column": None}
        return self._job(lambda: self.client.read_source(source))

    def _with_photos(self, files: Iterable[HostileFile]) -> JsonDict:
        job = self.client.open_job("hostile")
        self.client.add_photos(job["job_id"], [Photo(f.filename, f.data) for f in files])
        return self.client.seal_job(job["job_id"])

    def _uploaded(self, kind: str, name: str, data: bytes) -> JsonDict:
        file = self._new_folder() / name
        file.write_bytes(data)
        return self.client.upload_source(kind, file)

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))

    def _job(self, start: Callable[[], JsonDict]) -> Verdict:
        verdict = Verdict()
        try:
            (*_, job) = self.client.watch_job(start()["job_id"])
        except PetsearchError as error:
            verdict.refused += 1
            verdict.reason(error.detail)
            return verdict
        if not sum(job["counts"].values()) and job["state"] == "failed":
            verdict.refused += 1
            verdict.reason(job["reason"])
        for status, count in job["counts"].items():
            if status in ("refused", "failed"):
                verdict.refused += count
            else:
                verdict.accepted += count
        for item in islice(self.client.job_items(job["job_id"]), _MOST_ITEMS):
            self._look_at(item, verdict)
        self.client.delete_job(job["job_id"])
        return verdict

    def _look_at(self, item: JsonDict, verdict: Verdict) -> None:
        if item["status"] in ("refused", "failed"):
            verdict.reason(item["reason"])
        if item["status"] == "failed":
            verdict.problems.append(f"failed: {item['reason']!r}")
        for warning in item["warnings"]:
            verdict.reason(warning["detail"])
        if item["status"] == "ingested":
            self.client.delete_image(item["image_id"])


def as_archive(file: HostileFile) -> bytes:
    """The file itself, or a zip that holds it."""
    if file.family != "photo":
        return file.data
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(file.filename, file.data)
    return packed.getvalue()
