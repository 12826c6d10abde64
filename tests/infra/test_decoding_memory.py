"""Whether the processes that read files fit the memory of the containers, however files lie."""

import re

import pytest
import yaml

from petsearch.app.connections import MOST_PROCESSES, QUERY_PROCESSES
from petsearch.photos.decode_memory import FREE_BYTES, SPARE_BYTES
from petsearch.settings import Limits, Settings
from petsearch.sources.reader import READER_BYTES
from tests.infra.compose_files import BASE, ROOT, filled, raw

OWN_BYTES = 40_000_000
"""Of a process that decodes, before it does: private memory, measured as 35 MB."""
READER_OWN_BYTES = 85_000_000
"""Of a process that reads data sets, before it does."""
SERVER_BYTES = 300_000_000
"""Of the API or a worker without its photos."""
_UNITS = {"m": 2**20, "g": 2**30, "Mi": 2**20, "Gi": 2**30}


def decoding_bytes(processes: int) -> int:
    """What decoding may take if every file lies."""
    return Limits().decode_bytes + processes * (FREE_BYTES + SPARE_BYTES + OWN_BYTES)


def reading_bytes() -> int:
    """What the processes that read sources may take in a worker."""
    readers = 1 + Settings.model_fields["worker_threads"].default
    return int(readers * (READER_BYTES + READER_OWN_BYTES))


NEEDED = {
    "api": decoding_bytes(QUERY_PROCESSES) + SERVER_BYTES,
    "worker": decoding_bytes(MOST_PROCESSES) + reading_bytes() + SERVER_BYTES,
}


def in_bytes(written: str) -> int:
    """Memory as compose and Kubernetes write it."""
    number, unit = re.fullmatch(r"(\d+)(\w+)", written).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


@pytest.mark.parametrize("name", NEEDED)
def test_compose_gives_room_for_all_processes_that_read_files(name: str) -> None:
    memory = filled(raw(BASE))["services"][name]["deploy"]["resources"]["limits"]["memory"]
    assert in_bytes(memory) >= NEEDED[name]


@pytest.mark.parametrize("name", NEEDED)
def test_kubernetes_gives_room_for_all_processes_that_read_files(name: str) -> None:
    documents = yaml.safe_load_all((ROOT / f"infra/k8s/base/{name}.yaml").read_text())
    (deployment,) = (one for one in documents if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert in_bytes(container["resources"]["limits"]["memory"]) >= NEEDED[name]
