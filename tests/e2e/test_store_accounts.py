"""The accounts of infra/object-store, over moto's S3 server, which enforces their policies.

It looks at actions and resources, not at conditions, and the policies have none.
"""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from devstack import parts
from devstack.addresses import free_port
from petsearch.adapters.clip import resolve_model
from petsearch.adapters.objects import minio
from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.domain import JsonDict, object_keys
from petsearch.domain.errors import NotFound, Unavailable
from petsearch.models import Registry
from petsearch.ports import ObjectStore
from petsearch.sample.catalogue import catalogue
from tests.other_model import write_other_model
from tests.processes import UNHURRIED, Processes
from tests.programs import petsearch
from tests.waiting import wait_until

POLICIES = Path(__file__).parents[2] / "infra/object-store"
ACCOUNTS = sorted(path.stem for path in POLICIES.glob("*.json"))
DENIED = "does not let the account"
PHOTOS = 6


@dataclass(frozen=True)
class Server:
    """An S3 server whose accounts may do what their policies say."""

    url: str
    keys: dict[str, tuple[str, str]]
    """Access key and secret key of each account."""

    def store(self, account: str) -> ObjectStore:
        access_key, secret_key = self.keys[account]
        return minio.open_bucket(self.url, access_key=access_key, secret_key=secret_key)

    def env(self, account: str) -> dict[str, str]:
        access_key, secret_key = self.keys[account]
        return {
            "PETSEARCH_STORE_URL": self.url,
            "PETSEARCH_S3_ACCESS_KEY": access_key,
            "PETSEARCH_S3_SECRET_KEY": secret_key,
        }


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "logs") as opened:
        yield opened


@pytest.fixture
def server(processes: Processes) -> Server:
    port = free_port()
    processes.add_part(parts.s3_server(port)).wait_until_up()
    address = f"http://127.0.0.1:{port}"
    login: dict[str, Any] = {
        "endpoint_url": address,
        "region_name": "us-east-1",
        "aws_access_key_id": "root",
        "aws_secret_access_key": "root",
    }
    boto3.client("s3", **login).create_bucket(Bucket="petsearch")
    iam, keys = boto3.client("iam", **login), {}
    for name in ACCOUNTS:
        iam.create_user(UserName=name)
        policy = (POLICIES / f"{name}.json").read_text()
        iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy)
        iam.put_user_policy(UserName=name, PolicyName="head", PolicyDocument=head_of_a_bucket())
        made = iam.create_access_key(UserName=name)["AccessKey"]
        keys[name] = (made["AccessKeyId"], made["SecretAccessKey"])
    # From now on every call needs an account.
    httpx.post(f"{address}/moto-api/reset-auth", content="0").raise_for_status()
    return Server(f"s3+{address}/petsearch", keys)


def head_of_a_bucket() -> str:
    """moto has an action of its own for what s3:ListBucket allows elsewhere."""
    allowed = {"Effect": "Allow", "Action": "s3:HeadBucket", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})


# --- what they may not do ------------------------------------------------------------------


def put(key: str) -> Callable[[ObjectStore], object]:
    return lambda store: store.put(key, b"x")


def get(key: str) -> Callable[[ObjectStore], object]:
    return lambda store: store.get(key)


def delete(key: str) -> Callable[[ObjectStore], object]:
    return lambda store: store.delete(key)


FORBIDDEN = {
    "api": [
        put("originals/0a/x"),
        put("display/0a/x"),
        put("models/m/weights"),
        get("staging/j/1"),
    ],
    "worker": [delete("originals/0a/x"), put("models/m/weights"), put("imports/j/archive")],
    "embedder": [get("originals/0a/x"), put("models/serving.json"), delete("models/m/weights")],
    "trainer": [get("originals/0a/x"), put("staging/j/1"), delete("models/m/weights")],
}


def test_what_no_service_does_its_account_may_not_do(server: Server) -> None:
    administrator = server.store("maintenance")
    for key in ("originals/0a/x", "models/m/weights", "staging/j/1"):
        administrator.put(key, b"x")
    for account, calls in FORBIDDEN.items():
        for number, call in enumerate(calls):
            with pytest.raises(Unavailable, match=DENIED):
                call(server.store(account))
                pytest.fail(f"{account} may do its forbidden call {number}")
    for key in ("originals/0a/x", "models/m/weights", "staging/j/1"):
        assert administrator.get(key) == b"x"


# --- what they may do ----------------------------------------------------------------------


def test_a_calibration_that_a_worker_keeps_is_read_by_the_embedder(server: Server) -> None:
    key = object_keys.catalogue_calibration("m")
    server.store("worker").put(key, b"x")
    embedder = server.store("embedder")
    assert embedder.find(key) is not None
    assert embedder.get(key) == b"x"
    for account in ("api", "embedder"):
        with pytest.raises(Unavailable, match=DENIED):
            server.store(account).put(key, b"y")


def test_what_a_delete_that_was_cut_off_has_left_is_read_and_removed(server: Server) -> None:
    key = object_keys.tombstone("x")
    server.store("api").put(key, b"x")
    assert server.store("api").get(key) == server.store("worker").get(key) == b"x"
    server.store("worker").delete(key)
    assert server.store("worker").find(key) is None


@pytest.mark.parametrize("account", ACCOUNTS)
def test_who_may_write_may_give_up_a_large_object(account: str) -> None:
    """Otherwise its refusal hides why the object could not be written."""
    policy = json.loads((POLICIES / f"{account}.json").read_text())
    allowed = {
        action: {
            key for one in policy["Statement"] if action in one["Action"] for key in one["Resource"]
        }
        for action in ("s3:PutObject", "s3:AbortMultipartUpload")
    }
    assert allowed["s3:PutObject"] <= allowed["s3:AbortMultipartUpload"]


def test_every_service_works_with_its_account(
    server: Server, processes: Processes, tmp_path: Path
) -> None:
    env, api_url = start_services(server, processes, tmp_path)
    kept = server.store("maintenance")
    with Client(api_url) as client:
        image_id = bring_in(client, tmp_path)
        for url in client.image(image_id)["urls"].values():
            httpx.get(f"{api_url}{url}").raise_for_status()
        client.change_image(image_id, {"animal_id": "seen"})
        client.delete_image(image_id)
        with pytest.raises(NotFound):
            client.delete_image(image_id)
        assert not list(kept.list_keys("tombstones/"))
        assert len(list(kept.list_keys("originals/"))) == client.stats()["images"] == PHOTOS + 1
        cancelled = leave_uploads(client)
        next_model = publish(server, tmp_path)
        assert last(client, client.reindex(next_model))["state"] == "succeeded"
        client.promote(next_model)
        assert client.search("a grey cat")["model_id"] == next_model
        done = petsearch("reconcile", "--predictions", env=env | server.env("maintenance"))
        assert done.returncode == 0, done.stderr
        place = tmp_path / "backup"
        done = petsearch("backup", "--objects", "--out", place, env=env | server.env("maintenance"))
        assert done.returncode == 0, done.stderr
        for job in client.jobs(100):
            if job["finished_at"] is None:
                last(client, job)
            client.delete_job(job["job_id"])
        wait_until(
            lambda: not list(kept.list_keys("jobs/")) and not list(kept.list_keys("imports/"))
        )
        assert not list(kept.list_keys(f"staging/{cancelled}/"))
    for name in ("api", "worker", "embedder"):
        log = (tmp_path / "logs" / f"{name}.log").read_text()
        assert DENIED not in log, log


def start_services(
    server: Server, processes: Processes, folder: Path
) -> tuple[dict[str, str], str]:
    """An API, a worker and an embedder, each with its account; settings but for the store's."""
    redis_port, qdrant_port, embedder_port, api_port = (free_port() for _ in range(4))
    env = {
        "PETSEARCH_EMBEDDER_URL": f"http://127.0.0.1:{embedder_port}",
        "PETSEARCH_INDEX_URL": f"http://127.0.0.1:{qdrant_port}",
        "PETSEARCH_QDRANT_GRPC": "0",
        "PETSEARCH_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "PETSEARCH_MODEL": "sample",
        "PETSEARCH_MODEL_CACHE": str(folder / "cache"),
        "PETSEARCH_ALLOW_NO_KEYS": "1",
        **UNHURRIED,
    }

    def service(name: str, port: int) -> parts.Part:
        return parts.http_service(name, name, port, env | server.env(name))

    started = [
        processes.add_part(part)
        for part in (
            parts.redis_server(folder / "redis", redis_port),
            parts.qdrant_server(qdrant_port),
            service("embedder", embedder_port),
            service("api", api_port),
            parts.worker("worker", env | server.env("worker")),
        )
    ]
    for process in started:
        process.wait_until_up()
    return env, f"http://127.0.0.1:{api_port}"


def bring_in(client: Client, folder: Path) -> str:
    """Photos by upload, one in an archive, and an archive that is none; the id of an upload."""
    *drawings, packed = [(d.filename, d.to_jpeg()) for d in catalogue(PHOTOS + 2, seed=5)]
    photos = (Photo(name, data, {}) for name, data in drawings)
    uploaded = upload(client, PhotoSource(photos, len(drawings)), name="drawings")
    assert uploaded["counts"]["ingested"] == PHOTOS + 1, uploaded
    for data, ingested in ((tar_of(*packed), 1), (b"none", 0)):
        path = folder / "photos.tar"
        path.write_bytes(data)
        job = last(client, client.upload_source("archive", path))
        assert job["counts"]["ingested"] == ingested, job
    return str(next(iter(client.job_items(uploaded["job_id"], "ingested")))["image_id"])


def tar_of(name: str, data: bytes) -> bytes:
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, BytesIO(data))
    return packed.getvalue()


def leave_uploads(client: Client) -> str:
    """A job that is cancelled while it has uploads; its id."""
    job_id = client.open_job("left")["job_id"]
    client.control_job(job_id, "pause")
    (drawing,) = catalogue(1, seed=6)
    client.add_photos(job_id, [Photo(drawing.filename, drawing.to_jpeg(), {})])
    client.control_job(job_id, "cancel")
    return str(job_id)


def publish(server: Server, folder: Path) -> str:
    """Another model, as the trainer publishes it; its id."""
    model = write_other_model(folder / "other")
    model_id = resolve_model(f"dir:{model}").model_id()
    files = {path.name: path for path in model.iterdir()}
    Registry(server.store("trainer")).publish(model_id, files, datetime.now(UTC))
    return model_id


def last(client: Client, job: JsonDict) -> JsonDict:
    """The job when it has ended."""
    return list(client.watch_job(job["job_id"]))[-1]
