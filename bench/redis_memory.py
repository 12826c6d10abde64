"""Redis memory of a job with many items, through the ledger port: `make bench-redis`.

Simulates the enumeration of a source: chunks are added, with a limit on outstanding ones, and
accounted.
"""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import redis
import typer

from petsearch.adapters.redis import RedisLedger
from petsearch.adapters.redis.private_server import PrivateRedis
from petsearch.domain import ItemStatus, NewJob

_PER_CHUNK = 64
_BAR_MB = 50


def main(
    *,
    items: Annotated[int, typer.Option(min=_PER_CHUNK)] = 1_000_000,
    outstanding: Annotated[int, typer.Option(help="Chunks added and not accounted.")] = 64,
) -> None:
    """Run the job; print the additional memory of Redis at the peak and at the end."""
    with tempfile.TemporaryDirectory() as folder:
        server = PrivateRedis(Path(folder))
        client = redis.Redis(unix_socket_path=str(server.socket_path), decode_responses=True)
        try:
            before = _used_mb(client)
            peak = _run_job(client, items // _PER_CHUNK, outstanding)
            end = _used_mb(client)
        finally:
            client.close()
            server.close()
    sys.stdout.write(
        f"{items} items in chunks of {_PER_CHUNK}: Redis {peak - before:.1f} MB at the peak, "
        f"{end - before:.1f} at the end (bar: {_BAR_MB})\n"
    )


def _run_job(client: redis.Redis, chunks: int, outstanding: int) -> float:
    """Used memory in MB at the peak."""
    ledger, now = RedisLedger(client), datetime.now(UTC)
    ledger.create(NewJob("bench", "bench", now, spec="{}"))
    peak = 0.0
    for number in range(chunks + outstanding):
        if number < chunks:
            # As an enumeration adds them: with the cursor to go on from.
            ledger.add_chunk("bench", number, _PER_CHUNK, cursor=f"{number}")
        ledger.take_chunks("bench", outstanding, 60)
        if number == chunks:
            ledger.seal("bench", now)
        if number >= outstanding:
            failed = number % 3
            counts = {ItemStatus.INGESTED: _PER_CHUNK - failed, ItemStatus.FAILED: failed}
            ledger.claim_chunk("bench", number - outstanding, "bench", 60)
            ledger.account_chunk("bench", number - outstanding, counts, now)
        if number % 500 == 0 or number == chunks:
            peak = max(peak, _used_mb(client))
    assert ledger.get("bench").done == chunks * _PER_CHUNK
    return peak


def _used_mb(client: redis.Redis) -> float:
    return float(cast(dict[str, int], client.info("memory"))["used_memory"]) / 1e6


if __name__ == "__main__":
    typer.run(main)
