"""Servers that join the contract suites where their addresses are set."""

import os

VARIABLES = {
    "PETSEARCH_TEST_QDRANT_URL": "http://host:6333 of a Qdrant server; it is emptied",
    "PETSEARCH_TEST_S3_URL": "s3+http://host:9000 of an S3 server (PETSEARCH_S3_…_KEY)",
    "PETSEARCH_TEST_REDIS_URL": "redis://host:6379/0 of a Redis server; it is emptied",
}


def where_set(variable: str, name: str) -> list[str]:
    """`[name]` if `variable` holds an address, to be one more parameter of a suite."""
    return [name] if os.environ.get(variable) else []
