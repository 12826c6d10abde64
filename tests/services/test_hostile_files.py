"""A few hostile files of each kind by every way into a server; `make hostile` sends all of them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench.process_usage import resident_bytes, watched
from tests.hostile_files import HostileFile, light_files
from tests.hostile_files.__main__ import BUDGET_BYTES
from tests.hostile_files.targets import Target, standalone
from tests.hostile_files.ways import Verdict

FILES = list(light_files(each=2))
WAYS = ("upload", "search", "archive", "manifest", "data set")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with standalone(tmp_path_factory.mktemp("hostile")) as opened:
        yield opened


@pytest.mark.parametrize("way", WAYS)
def test_each_has_its_reason_and_the_server_goes_on(target: Target, way: str) -> None:
    def send(file: HostileFile) -> Verdict:
        return target.ways.of(file)[way](file)

    sent = [file for file in FILES if way in target.ways.of(file)]
    idle = resident_bytes(target.pids)
    with watched(target.pids, period_s=0.2) as peak, ThreadPoolExecutor(3) as pool:
        verdicts = dict(zip(sent, pool.map(send, sent), strict=True))
    for file, verdict in verdicts.items():
        assert not verdict.problems, (file.kind, file.name, verdict.problems)
    assert any(verdict.refused or verdict.accepted for verdict in verdicts.values())
    assert target.is_alive
    assert peak[0] - idle < BUDGET_BYTES


def test_the_files_are_the_same_for_a_seed_and_others_for_another() -> None:
    one, again, other = ([file.data for file in light_files(seed)] for seed in (0, 0, 1))
    assert one == again
    assert one != other
