"""Whether the processes that decode fit the memory of the containers, however files lie."""

import re

import yaml

from petsearch.app.connections import MOST_PROCESSES, QUERY_PROCESSES
from petsearch.photos.decode_memory import FREE_BYTES, SPARE_BYTES
from petsearch.settings import Limits
from tests.infra.compose_files import BASE, ROOT, filled, raw

OWN_BYTES = 40_000_000
"""Of a process that decodes, before it does: private memory, measured as 35 MB."""
SERVER_BYTES = 300_000_000
"""Of the API or a worker without its photos."""
_UNITS = {"m": 2**20, "g": 2**30, "Mi": 2**20, "Gi": 2**30}


def decoding_bytes(processes: int) -> int:
    """What decoding may take if every file lies."""
    return Limits().decode_bytes + processes * (FREE_BYTES + SPARE_BYTES + OWN_BYTES)


def in_bytes(written: str) -> int:
    """Memory as compose and Kubernetes write it."""
    number, unit = re.fullmatch(r"(\d+)(\w+)", written).groups()  # type: ignore[union-attr]
    return int(number) * _UNITS[unit]


def test_compose_gives_room_for_all_processes_that_decode() -> None:
    services = filled(raw(BASE))["services"]
    for name, processes in (("api", QUERY_PROCESSES), ("worker", MOST_PROCESSES)):
        memory = services[name]["deploy"]["resources"]["limits"]["memory"]
        assert in_bytes(memory) >= decoding_bytes(processes) + SERVER_BYTES, name


def test_kubernetes_gives_room_for_all_processes_that_decode() -> None:
    for name, processes in (("api", QUERY_PROCESSES), ("worker", MOST_PROCESSES)):
        documents = yaml.safe_load_all((ROOT / f"infra/k8s/base/{name}.yaml").read_text())
        (deployment,) = (one for one in documents if one["kind"] == "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        memory = container["resources"]["limits"]["memory"]
        assert in_bytes(memory) >= decoding_bytes(processes) + SERVER_BYTES, name
