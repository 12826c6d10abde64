"""Every environment variable of petsearch, by section: name, type, default and what it does.

A section is a class; its variables are its fields, in capitals behind its prefix. docs/settings.md
is made from these classes.
"""

import logging
import re
from datetime import UTC, tzinfo
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    field_validator,
)

from petsearch.domain.api_keys import is_origin


def _checked(addresses: str) -> str:
    # A password may hold a comma.
    for address in re.split(r",(?=\s?https?://)", addresses) if "://" in addresses else ():
        try:
            parts = urlsplit(address.strip(" ,"))
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_whole = False
        if not is_whole:
            raise ValueError("it should be the address of a server, as in http://host:8000")
    return addresses


Address = Annotated[str, AfterValidator(_checked)]
"""One or several separated by commas. Which kinds are known is checked where they are opened."""


class Section(BaseModel):
    """A section of the table. The docstring of each one is its heading, and what stands below."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: ClassVar[str] = "PETSEARCH_"
    reader: ClassVar[str] = "server"
    may_be_empty: ClassVar[bool] = True
    """Whether a variable that is set to nothing counts as unset."""


class Addresses(Section):
    """Addresses

    `petsearch serve` sets the first four itself, below its `--data-dir`. A service needs only those
    it uses.
    """

    embedder_url: Address = Field(
        "",
        description="`http://embedder:8100`, or several separated by commas; `local:` runs the "
        "model in this process",
    )
    index_url: Address = Field(
        "",
        description="`http://qdrant:6333`, the nodes of a cluster as "
        "`http://a:6333,http://b:6333`, or `edge:<dir>`: Qdrant Edge in this process",
    )
    store_url: Address = Field(
        "", description="`s3+http://<host>:<port>/<bucket>` (or `s3+https`), or `file:<dir>`"
    )
    redis_url: Address = Field(
        "", description="`redis://redis:6379/0`, or `local:<dir>`: a private redis-server"
    )
    model: str = Field(
        "",
        description="`hub:<arch>/<tag>`, `dir:<folder>`, `s3:<model_id>` of a published model, or "
        "`sample`; used for the first collection only",
    )
    s3_access_key: str = Field("", description="access key of the object store")
    s3_secret_key: SecretStr = Field(SecretStr(""), description="its secret key")
    qdrant_api_key: SecretStr = Field(
        SecretStr(""), description="API key of the Qdrant server, if it requires one"
    )
    model_cache: Path = Field(
        Path("~/.cache/petsearch/models"),
        description="folder into which published models are downloaded from an S3 store",
    )


class Access(Section):
    """Access"""

    may_be_empty: ClassVar[bool] = False

    allow_no_keys: bool = Field(
        default=False,
        description="1: no key is required; anyone who can reach the server may do everything",
    )
    anonymous_search: bool = Field(
        default=False, description="1: search and its pictures require no key"
    )
    key_requests_per_minute: int = Field(600, ge=0, description="limit for each key; 0: none")
    anonymous_requests_per_minute: int = Field(
        120, ge=0, description="limit for each address without a key; 0: none"
    )
    trusted_proxies: tuple[IPvAnyNetwork, ...] = Field(
        (),
        description="networks of proxies whose X-Forwarded headers are trusted: see "
        '[proxies.md](proxies.md): `["10.0.0.0/8"]`',
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description='origins whose pages may call the API: `["https://shelter.example"]`, without '
        "a trailing slash; `*` may only read",
    )
    frame_ancestors: str = Field(
        "",
        description="origins whose pages may show the page in a frame, between spaces: "
        "`https://shelter.example https://www.shelter.example`",
    )
    allowed_hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"),
        description="accepted Host names, without port; `*` accepts any; others are rejected with "
        "421",
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Browsers send origins only in this form; others would never match."""
        for origin in origins:
            if origin != "*" and not is_origin(origin):
                raise ValueError(
                    f"{origin!r} is not an origin such as https://app.example, without a slash"
                )
        return origins

    @field_validator("frame_ancestors")
    @classmethod
    def _are_origins_of_frames(cls, origins: str) -> str:
        """Not `*`: a site that frames the page may have people click in it unawares."""
        if not all(map(is_origin, origins.split())):
            raise ValueError("it should be origins between spaces, such as https://app.example")
        return origins


class Imports(Section):
    """What jobs may read"""

    import_dirs: tuple[Path, ...] = Field((), description="folders on the server")
    import_buckets: tuple[str, ...] = Field((), description="buckets on the object store's server")
    url_ingest: bool = Field(default=False, description="1: photos may be fetched from public URLs")


class Dates(Section):
    """Dates"""

    time_zone: str = Field(
        "UTC",
        description="the IANA name of the zone, such as `Europe/Berlin`, of [dates and times that "
        "name none](using.md#dates): in metadata, tables, photos and filters. The API and the "
        "workers need the same one. Dates that are stored keep their instants when it changes",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_time_zone(cls, name: str) -> str:
        if name in ("UTC", *(known := available_timezones())):
            return name
        cities = {zone.rpartition("/")[2].casefold(): zone for zone in known}
        nearest = get_close_matches(name.rpartition("/")[2].casefold(), cities, 1)
        hint = f"; did you mean {cities[nearest[0]]}?" if nearest else ""
        raise ValueError(f"it should be an IANA time zone such as Europe/Berlin or UTC{hint}")

    @property
    def zone(self) -> tzinfo:
        """The time zone of `time_zone`."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)


class Work(Section):
    """Work and speed"""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="`fp32`, `bf16` or `fp16` keep scores equal across restarts; `auto` measures "
        "at each start whether another than `fp32` is clearly faster",
    )
    worker_threads: int = Field(2, gt=0, description="chunks that a worker ingests concurrently")
    decode_threads: int = Field(
        0,
        ge=0,
        description="photos decoded at a time, each in a process of its own; 0: one more than "
        "the cores it may use, at most 8",
    )
    ingest_batch_size: int = Field(16, gt=0, description="photos per embedding batch")
    job_chunks: int = Field(16, gt=0, description="chunks of one job in the queue at once")
    lease_s: float = Field(
        30.0,
        gt=0,
        description="seconds without a sign of life after which a worker's chunk is queued again",
    )
    keep_jobs_days: float = Field(
        30.0,
        gt=0,
        description="days after which an ended job and what is recorded of its items are deleted, "
        "and one that nobody continued is cancelled unless its photos wait for workers; photos "
        "stay",
    )
    species_threshold: float = Field(
        0.93,
        gt=0.5,
        le=1,
        description="calibrated probability from which a guess of another species leaves a photo "
        "out of a filter; below it the photo stays in, marked as unsure",
    )
    breed_threshold: float = Field(0.95, gt=0.5, le=1, description="the same for breeds")
    cached_query_texts: int = Field(10_000, gt=0, description="query embeddings cached in memory")
    drain_s: float = Field(
        5.0,
        ge=0,
        description="seconds that the API and the embedder, as services, keep responding after "
        "SIGTERM",
    )
    stalled_s: float = Field(
        300.0,
        ge=0,
        description="seconds after which an embedder, a worker or `petsearch serve` ends itself, "
        "to be restarted, if a call of the device or a chunk does not move; more than the 120 s "
        "that a worker waits for an embedder; 0: never",
    )
    request_deadline_s: float = Field(
        5.0,
        gt=0,
        description="seconds after which a request gets 503 with the part that it waits for",
    )
    qdrant_shards: int = Field(1, gt=0, description="shards of a new collection")
    qdrant_replicas: int = Field(
        1,
        gt=0,
        description="replicas of each shard of a new collection; with 3 one node may be "
        "away, with 2 none",
    )
    qdrant_quantization: Literal["none", "int8"] = Field(
        "none", description="`int8`: a new collection searches quantized vectors"
    )
    qdrant_grpc: bool = Field(
        default=True, description="0: use HTTP only, for a Qdrant behind an HTTP proxy"
    )


class Limits(Section):
    """Limits"""

    prefix: ClassVar[str] = "PETSEARCH_LIMIT_"

    image_bytes: int = Field(50 * 1024 * 1024, gt=0, description="bytes of a file")
    image_megapixels: float = Field(120.0, gt=0, description="megapixels of a picture")
    decode_bytes: int = Field(
        420_000_000,
        gt=0,
        description="memory for decoding, all photos of a process together",
    )
    decode_s: float = Field(
        3.0, gt=0, description="seconds of processor time to decode a photo; more are refused"
    )
    photos_per_request: int = Field(
        64, gt=0, le=64, description="photos per upload request; at most 64"
    )
    request_bytes: int = Field(
        512 * 1024 * 1024,
        gt=0,
        description="bytes of an upload; JSON has smaller limits, by route",
    )
    query_characters: int = Field(1000, gt=0, description="characters of a query text")


class Logs(Section):
    """Logs and metrics"""

    log_level: str = Field(
        "INFO",
        description="`DEBUG` to `ERROR`; commands other than `serve` use `WARNING` unless it is "
        "set",
    )
    log_json: bool = Field(default=False, description="1: one JSON object per line")
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="port for the Prometheus metrics of a worker or the API; 0: none. `petsearch "
        "serve` exposes them at `/metrics`",
    )

    @field_validator("log_level")
    @classmethod
    def _is_level(cls, level: str) -> str:
        if level.upper() not in logging.getLevelNamesMapping():
            raise ValueError("it should be DEBUG, INFO, WARNING, ERROR or CRITICAL")
        return level.upper()


class Versions(Section):
    """Upgrades and rollbacks"""

    ignore_unknown_settings: bool = Field(
        default=False,
        description="1: variables that this version does not know, such as those of a newer one "
        "after a rollback, are ignored and logged; 0: they stop the start",
    )


class CommandLine(Section):
    """The command line"""

    reader: ClassVar[str] = "command line"

    api: Address = Field(
        "http://127.0.0.1:8000",
        description="the server that commands call, or several separated by commas; same as "
        "`--api`",
    )
    api_key: SecretStr = Field(SecretStr(""), description="the API key that commands send")

    @field_validator("api")
    @classmethod
    def _is_http(cls, api: str) -> str:
        if not api.startswith(("http://", "https://")):
            raise ValueError("it should be http://<host>:<port>, or several separated by commas")
        return api


class ComposeFiles(Section):
    """The compose files

    Programs do not read these; `.env.example` explains them with the other variables of the compose
    files.
    """

    reader: ClassVar[str] = "compose"

    tag: str = Field("local", description="tag of the images that are built")
    cluster_shards: int = Field(6, description="shards of a new collection of a cluster")
    cluster_replicas: int = Field(3, description="replicas of each of them")


class Tests(Section):
    """Tests and measurements

    Programs do not read these. `PETSEARCH_S3_…_KEY` are used with the S3 server of tests, too.
    """

    reader: ClassVar[str] = "tests"

    shared: str = Field("../shared", description="folder of real photos and models")
    chromium: str = Field("", description="the browser's program, if it is not on PATH")
    test_qdrant_url: str = Field(
        "", description="`http://<host>:6333` of a Qdrant server, which is emptied"
    )
    test_s3_url: str = Field("", description="`s3+http://<host>:9000` of an S3 server")
    test_redis_url: str = Field(
        "", description="`redis://<host>:6379/0` of a Redis server, which is emptied"
    )
    test_real: str = Field("", description="1: a missing one of these servers is a failure")
    test_compose: str = Field("", description="1: run the compose files on a Docker engine")
    test_images: str = Field("", description="1: measure what each image installs")
    test_photos: str = Field("120", description="photos ingested while services restart")
    test_hostile_requests: str = Field("1000", description="random requests to the embedder")
    test_programs: str = Field(
        "", description="programs whose absence fails tests instead of skipping them"
    )
    test_apache2: str = Field("", description="path of that program")
    test_caddy: str = Field("", description="path of that program")
    test_hadolint: str = Field("", description="path of that program")
    test_kubectl: str = Field("", description="path of that program")
    test_kustomize: str = Field("", description="path of that program")
    test_nginx: str = Field("", description="path of that program")
    test_promtool: str = Field("", description="path of that program")
