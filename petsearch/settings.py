"""Settings from `PETSEARCH_…` environment variables. The addresses select the adapters."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from petsearch.domain.errors import ConfigurationError

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?")
_HINTS = {
    "embedder_url": "http://embedder:8100, or local: for a model in this process",
    "index_url": "http://qdrant:6333, or edge:<dir> for Qdrant Edge in this process",
    "store_url": "s3+http://minio:9000/petsearch, or file:<dir>",
    "redis_url": "redis://redis:6379/0, or local:<dir> for a private redis-server",
    "model": "hub:<arch>/<tag>, dir:<path>, s3:<model_id> of a published model, or sample",
    "s3_access_key": "the name of an account of the object store",
    "s3_secret_key": "the password of that account",
}


class Limits(BaseSettings):
    """Limits of input. Units are in the names."""

    model_config = SettingsConfigDict(env_prefix="PETSEARCH_LIMIT_", frozen=True)

    image_bytes: int = Field(50 * 1024 * 1024, gt=0)
    image_megapixels: float = Field(120.0, gt=0)
    decode_bytes: int = Field(420_000_000, gt=0, description="held by decoding, all threads")
    photos_per_request: int = Field(64, gt=0, le=64)
    request_bytes: int = Field(512 * 1024 * 1024, gt=0)
    query_characters: int = Field(1000, gt=0)


class Settings(BaseSettings):
    """All settings. The four addresses and the model have no default."""

    model_config = SettingsConfigDict(env_prefix="PETSEARCH_", frozen=True)

    embedder_url: str = ""
    index_url: str = ""
    store_url: str = ""
    redis_url: str = ""
    model: str = ""
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    qdrant_api_key: SecretStr = SecretStr("")
    qdrant_shards: int = Field(1, gt=0, description="of a new collection")
    qdrant_replicas: int = Field(1, gt=0, description="copies of every shard")
    qdrant_quantization: Literal["none", "int8"] = "none"
    qdrant_grpc: bool = Field(default=True, description="off: over HTTP alone, for proxies")
    allow_no_keys: bool = False
    """No keys are required: every client that reaches the server may do everything."""
    anonymous_search: bool = False
    """Searches and their pictures require no key; they are rate-limited by address."""
    key_requests_per_minute: int = Field(600, ge=0, description="of each key; 0: no limit")
    anonymous_requests_per_minute: int = Field(120, ge=0, description="of each address; 0: none")
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks of proxies whose X-Forwarded headers are trusted."""
    cors_origins: tuple[str, ...] = ()
    """Other origins whose pages may call the API, such as https://app.example; * may only read."""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    import_dirs: tuple[Path, ...] = ()
    """Local folders that jobs may read."""
    import_buckets: tuple[str, ...] = ()
    """Buckets of the object store's server that jobs may read."""
    url_ingest: bool = False
    """Whether jobs may fetch photos from public web addresses."""
    lease_s: float = Field(
        30.0, gt=0, description="a worker without a heartbeat for this long is dead"
    )
    job_chunks: int = Field(16, gt=0, description="chunks of one job in the queue at a time")
    worker_threads: int = Field(2, gt=0, description="chunks worked on at a time")
    decode_threads: int = Field(0, ge=0, description="0: one per core")
    ingest_batch_size: int = Field(16, gt=0, description="photos embedded at a time")
    metrics_port: int = Field(0, ge=0, le=65535, description="of a worker or the API; 0: none")
    drain_s: float = Field(5.0, ge=0, description="between SIGTERM and the end of API, embedder")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of models. auto measures at each start which is the fastest that preserves the embeddings, so
    scores may differ in the second digit between starts and between embedders."""
    model_cache: Path = Path("~/.cache/petsearch/models")
    """Where published models are cached if the object store is on another machine."""
    cached_query_texts: int = Field(10_000, gt=0, description="query embeddings kept in memory")
    log_level: str = "INFO"
    log_json: bool = False
    limits: Limits = Field(default_factory=Limits)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Browsers send origins only in this form; others would never match."""
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin such as https://app.example, without a slash"
                )
        return origins

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment.

        Raises:
            ConfigurationError: a variable has an invalid value; the message names it.
        """
        try:
            return cls()
        except ValidationError as error:
            raise ConfigurationError(_first_problem(error)) from error
        except SettingsError as error:  # a value that is not JSON
            raise ConfigurationError(
                f"A setting is invalid: {error}. Lists are JSON, such as "
                "PETSEARCH_IMPORT_DIRS='[\"/srv/photos\"]'."
            ) from error

    def require(self, *names: str) -> None:
        """Check that the named settings are set.

        Raises:
            ConfigurationError: one is not; the message says what it may hold.
        """
        for name in names:
            if not getattr(self, name):
                raise ConfigurationError(
                    f"PETSEARCH_{name.upper()} is not set. It takes {_HINTS[name]}."
                )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    name = "_".join(str(part) for part in problem["loc"]).upper()
    return f"PETSEARCH_{name} is invalid: {problem['msg']}."
