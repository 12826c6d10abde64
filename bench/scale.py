"""The arithmetic of docs/scale.md: `python -m bench.scale --photos 100000000 --dim 512`.

Every figure that goes in is a parameter whose default was measured, and its help says by which
command. What was never measured has no default, and is left out of the table until it is given.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from petsearch.photos import ImageLimits
from petsearch.photos.copies import display_copy, thumbnail
from petsearch.photos.decode import decode

FLOAT_BYTES = 4
LINK_BYTES = 4
PIXEL_BYTES = 3 * 224 * 224
"""What a worker sends to the embedder for a photo."""
COPIES = 3
"""Objects of a photo: original, display copy, thumbnail."""
HOUR_S = 3600.0

Quantization = Literal["none", "int8"]


@dataclass(frozen=True)
class Point:
    """Sizes of one photo in the index, in bytes."""

    vector: int
    quantized: int
    links: float
    other: float
    """Payload and its indexes, ids, versions."""

    @property
    def memory(self) -> float:
        """Held in memory: what is searched. Full vectors are on disk where quantized ones are not.

        `other` counts whole, though the payload itself is on disk: its indexes are in memory.
        """
        return (self.quantized or self.vector) + self.links + self.other

    @property
    def disk(self) -> float:
        """Size on disk of one copy."""
        return self.vector + self.quantized + self.links + self.other


def point(dim: int, quantization: Quantization, *, m: int, other: float) -> Point:
    """One photo in an index of `dim` dimensions with HNSW of `m` links.

    The lowest level has 2 m links a point, each level above holds 1/m of the points with m links.
    Source: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
    Hierarchical Navigable Small World graphs", section 4.2.3, with Qdrant's m0 = 2 m.
    """
    links = LINK_BYTES * (2 * m + m / (m - 1))
    return Point(dim * FLOAT_BYTES, dim if quantization == "int8" else 0, links, other)


@dataclass(frozen=True)
class Inputs:
    """The inputs of the table. Rates are per second, sizes in bytes."""

    photos: int
    dim: int
    quantization: Quantization
    other: float
    m: int
    replicas: int
    node_memory: float
    node_share: float
    """Of a node's memory, what the index may take."""
    shard_points: int
    original: float
    display: float
    thumb: float
    worker_core_s: float
    gpu_rate: float | None
    gpus: int
    search_core_s: float
    searches: float
    prices: "Prices"


@dataclass(frozen=True)
class Prices:
    """Prices in one currency; None if not given."""

    gpu_hour: float | None = None
    node_month: float | None = None
    gb_month: float | None = None


@dataclass(frozen=True)
class Totals:
    """The results."""

    index_memory: float
    index_disk: float
    nodes: int
    shards: int
    objects: int
    store_bytes: float
    embed_hours: float | None
    worker_cores: float | None
    pixels_per_s: float | None
    originals_per_s: float | None
    api_cores: float
    once: float | None
    monthly: float | None


def add_up(inputs: Inputs) -> Totals:
    """Compute the results from the inputs."""
    one = point(inputs.dim, inputs.quantization, m=inputs.m, other=inputs.other)
    memory = inputs.photos * one.memory * inputs.replicas
    # A shard's copies lie on different nodes.
    nodes = max(inputs.replicas, math.ceil(memory / (inputs.node_memory * inputs.node_share)))
    shards = math.ceil(inputs.photos / inputs.shard_points)
    stored = inputs.photos * (inputs.original + inputs.display + inputs.thumb)
    rate = inputs.gpu_rate * inputs.gpus if inputs.gpu_rate else None
    hours = inputs.photos / rate / HOUR_S if rate else None
    prices = inputs.prices
    return Totals(
        index_memory=memory,
        index_disk=inputs.photos * one.disk * inputs.replicas,
        nodes=nodes,
        # Each node holds as many shards as any other.
        shards=max(nodes, math.ceil(shards / nodes) * nodes),
        objects=inputs.photos * COPIES,
        store_bytes=stored,
        embed_hours=hours,
        worker_cores=rate * inputs.worker_core_s if rate else None,
        pixels_per_s=rate * PIXEL_BYTES if rate else None,
        originals_per_s=rate * inputs.original if rate else None,
        api_cores=inputs.searches * inputs.search_core_s,
        once=_times(hours, prices.gpu_hour, inputs.gpus),
        monthly=_plus(_times(nodes, prices.node_month), _times(stored / 1e9, prices.gb_month)),
    )


def _times(*factors: float | None) -> float | None:
    known = [factor for factor in factors if factor is not None]
    return math.prod(known) if len(known) == len(factors) else None


def _plus(*terms: float | None) -> float | None:
    known = [term for term in terms if term is not None]
    return sum(known) if len(known) == len(terms) else None


def rows(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """The lines of the table."""
    sums = add_up(inputs)
    unknown = "not given (--gpu-rate)"
    yield (
        "photos, dimensions, quantization",
        (f"{inputs.photos:,}, {inputs.dim}, {inputs.quantization}"),
    )
    yield f"index in memory, {inputs.replicas} copies", _bytes(sums.index_memory)
    yield f"index on disk, {inputs.replicas} copies", _bytes(sums.index_disk)
    yield f"nodes of {_bytes(inputs.node_memory)}", f"{sums.nodes}"
    yield "shards", f"{sums.shards}"
    yield "objects", f"{sums.objects:,}"
    yield "object store, one copy", _bytes(sums.store_bytes)
    yield f"hours to embed, {inputs.gpus} GPUs", _number(sums.embed_hours, unknown)
    yield "worker cores that keep them busy", _number(sums.worker_cores, unknown)
    yield "pixels from workers to embedders", _rate(sums.pixels_per_s, unknown)
    yield "originals from store to workers", _rate(sums.originals_per_s, unknown)
    yield f"API cores at {inputs.searches:g} searches/s", _number(sums.api_cores, "")
    yield "to embed once", _number(sums.once, "not given (--gpu-rate, --gpu-hour)")
    yield "a month", _number(sums.monthly, "not given (--node-month, --gb-month)")


def _number(value: float | None, unknown: str) -> str:
    return unknown if value is None else f"{value:,.1f}"


def _rate(value: float | None, unknown: str) -> str:
    return unknown if value is None else f"{_bytes(value)}/s"


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.2f} TB"


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Measured:
    """Means over real photos."""

    photos: int
    original: float
    display: float
    thumb: float
    decode_s: float
    display_s: float
    thumb_s: float


def measure(files: list[Path]) -> Measured:
    """Sizes and CPU seconds of the copies of each photo, as a worker makes them."""
    totals = [0.0] * 6
    for file in files:
        data = file.read_bytes()
        decoded, decode_s = _timed(partial(decode, data, ImageLimits()))
        display, display_s = _timed(partial(display_copy, decoded.picture))
        thumb, thumb_s = _timed(partial(thumbnail, decoded.picture))
        one = (len(data), len(display), len(thumb), decode_s, display_s, thumb_s)
        totals = [total + value for total, value in zip(totals, one, strict=True)]
    return Measured(len(files), *(total / len(files) for total in totals))


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    started = time.process_time()
    result = work()
    return result, time.process_time() - started


def main(
    *,
    photos: Annotated[int, typer.Option(min=1)] = 100_000_000,
    dim: Annotated[int, typer.Option(min=1, help="ViT-B/32: 512.")] = 512,
    quantization: Annotated[str, typer.Option(help="none or int8.")] = "none",
    other: Annotated[
        float, typer.Option(help="Bytes a point beside vector and links (docs/scale.md).")
    ] = 606.0,
    m: Annotated[int, typer.Option(min=2, help="Links of HNSW; Qdrant's default.")] = 16,
    replicas: Annotated[int, typer.Option(min=1)] = 2,
    node_gb: Annotated[float, typer.Option(min=1, help="Memory of a node of Qdrant.")] = 128.0,
    node_share: Annotated[float, typer.Option(min=0.1, max=1, help="For the index.")] = 0.7,
    shard_points: Annotated[int, typer.Option(min=1, help="At most in a shard.")] = 10_000_000,
    original: Annotated[float, typer.Option(help="Bytes of a photo: yours.")] = 103_000.0,
    display: Annotated[float, typer.Option(help="Bytes of a display copy.")] = 52_000.0,
    thumb: Annotated[float, typer.Option(help="Bytes of a thumbnail.")] = 15_000.0,
    worker_core_s: Annotated[float, typer.Option(help="Core seconds of a photo.")] = 0.009,
    gpu_rate: Annotated[
        float | None, typer.Option(help="Photos a second of one GPU: make bench-embedder.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1)] = 1,
    search_core_s: Annotated[
        float, typer.Option(help="The API's own, of a search: make bench-api.")
    ] = 0.0022,
    searches: Annotated[float, typer.Option(help="A second, at the peak.")] = 100.0,
    gpu_hour: Annotated[float | None, typer.Option(help="Price.")] = None,
    node_month: Annotated[float | None, typer.Option(help="Price.")] = None,
    gb_month: Annotated[float | None, typer.Option(help="Price of a GB of objects.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Measure sizes and times on these JPEGs instead.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of them.")] = 100,
) -> None:
    """Print the table for some inputs, or measure inputs."""
    if folder is not None:
        _print_measured(measure(sorted(folder.rglob("*.jpg"))[:count]))
        return
    if quantization not in ("none", "int8"):
        raise typer.BadParameter("--quantization is none or int8")
    inputs = Inputs(
        photos=photos,
        dim=dim,
        quantization="int8" if quantization == "int8" else "none",
        other=other,
        m=m,
        replicas=replicas,
        node_memory=node_gb * 1e9,
        node_share=node_share,
        shard_points=shard_points,
        original=original,
        display=display,
        thumb=thumb,
        worker_core_s=worker_core_s,
        gpu_rate=gpu_rate,
        gpus=gpus,
        search_core_s=search_core_s,
        searches=searches,
        prices=Prices(gpu_hour, node_month, gb_month),
    )
    for name, value in rows(inputs):
        sys.stdout.write(f"{name:<40} {value}\n")


def _print_measured(means: Measured) -> None:
    sys.stdout.write(
        f"{means.photos} photos: original {means.original:,.0f} B, display {means.display:,.0f} B, "
        f"thumbnail {means.thumb:,.0f} B; CPU: decode {means.decode_s * 1e3:.1f} ms, "
        f"display {means.display_s * 1e3:.1f} ms, thumbnail {means.thumb_s * 1e3:.1f} ms\n"
    )


if __name__ == "__main__":
    typer.run(main)
