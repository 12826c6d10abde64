"""Builds HNSW in a closed Qdrant Edge folder: `python -m bench.optimise SHARD [--int8]`.

It runs in its own process because `EdgeShard.optimize` holds the GIL until it ends.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import qdrant_edge as edge
import typer

from bench.galleries import DIM

M = 16
EF_CONSTRUCT = 100
"""Qdrant's own defaults."""
_FULL_SCAN_KB = 10_000
_INDEX_FROM_KB = 1000


def main(
    shard: Annotated[Path, typer.Argument(help="The folder of a collection.")],
    *,
    dim: Annotated[int, typer.Option()] = DIM,
    int8: Annotated[bool, typer.Option("--int8", help="Also quantize to int8.")] = False,
) -> None:
    """Optimise the folder and print how long it took."""
    quantization = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, always_ram=True)
    config = edge.EdgeConfig(
        vectors=edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine),
        hnsw_config=edge.HnswIndexConfig(M, EF_CONSTRUCT, _FULL_SCAN_KB),
        quantization_config=quantization if int8 else None,
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_INDEX_FROM_KB),
    )
    opened = edge.EdgeShard.load(str(shard), config)
    started = time.perf_counter()
    opened.optimize()
    took_s = time.perf_counter() - started
    indexed = opened.info().indexed_vectors_count
    opened.flush()
    opened.close()
    sys.stdout.write(f"{took_s:.0f} s, {indexed} vectors in HNSW\n")


if __name__ == "__main__":
    typer.run(main)
