"""The arithmetic of docs/scale.md, against sums done by hand."""

import dataclasses
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from bench.scale import Inputs, Prices, add_up, main, point, rows

DOCUMENT = (Path(__file__).parents[2] / "docs/scale.md").read_text()
HUNDRED_MILLION = Inputs(
    photos=100_000_000,
    dim=512,
    quantization="none",
    other=600.0,
    m=16,
    replicas=2,
    node_memory=128e9,
    node_share=0.7,
    shard_points=10_000_000,
    original=100_000,
    display=50_000,
    thumb=10_000,
    worker_core_s=0.01,
    gpu_rate=500.0,
    gpus=4,
    search_core_s=0.002,
    searches=100,
    prices=Prices(),
)


def test_a_point_is_its_vector_its_links_and_the_rest() -> None:
    full = point(512, "none", m=16, other=600)
    # 4 bytes for each of 2 x 16 links, and of 16/15 on average above.
    assert full.links == pytest.approx(4 * (32 + 16 / 15))
    assert full.memory == pytest.approx(2048 + full.links + 600)
    assert full.disk == full.memory


def test_int8_moves_full_vectors_to_disk() -> None:
    full, small = (point(256, way, m=16, other=0) for way in ("none", "int8"))
    assert full.memory - small.memory == 1024 - 256
    assert small.disk - full.disk == 256


def test_sums_are_those_done_by_hand() -> None:
    sums = add_up(HUNDRED_MILLION)
    each = 2048 + 4 * (32 + 16 / 15) + 600
    assert sums.index_memory == pytest.approx(100e6 * each * 2)
    assert sums.nodes == 7  # 556 GB in parts of 89.6
    assert sums.shards == 14  # ten would do; two for each node
    assert sums.objects == 300_000_000
    assert sums.store_bytes == pytest.approx(16e12)
    assert sums.embed_hours == pytest.approx(100e6 / 2000 / 3600)
    assert sums.worker_cores == pytest.approx(20)
    assert sums.pixels_per_s == pytest.approx(2000 * 150_528)
    assert sums.api_cores == pytest.approx(0.2)


def test_copies_need_as_many_nodes() -> None:
    few = dataclasses.replace(HUNDRED_MILLION, photos=1000, replicas=3)
    assert add_up(few).nodes == 3


def test_costs_are_known_only_where_prices_and_rates_are() -> None:
    assert add_up(HUNDRED_MILLION).once is None
    assert add_up(HUNDRED_MILLION).monthly is None
    prices = Prices(gpu_hour=2.0, node_month=1000.0, gb_month=0.02)
    priced = add_up(dataclasses.replace(HUNDRED_MILLION, prices=prices))
    assert priced.once == pytest.approx(100e6 / 2000 / 3600 * 2.0 * 4)
    assert priced.monthly == pytest.approx(7 * 1000 + 16_000 * 0.02)
    unmeasured = dataclasses.replace(HUNDRED_MILLION, prices=prices, gpu_rate=None)
    assert add_up(unmeasured).once is None
    assert dict(rows(unmeasured))["hours to embed, 4 GPUs"].startswith("not given")


@pytest.mark.parametrize(
    "command", re.findall(r"^\| `(python -m bench\.scale [^`]+)`", DOCUMENT, re.MULTILINE)
)
def test_the_document_shows_what_its_commands_print(command: str) -> None:
    app = typer.Typer()
    app.command()(main)
    printed = CliRunner().invoke(app, command.split()[3:]).stdout
    memory, disk, nodes = (line[41:] for line in printed.splitlines()[1:4])
    (row,) = [line for line in DOCUMENT.splitlines() if f"`{command}`" in line]
    cells = [cell.strip() for cell in row.split("|")]
    assert {memory, disk, nodes} <= set(cells), row
