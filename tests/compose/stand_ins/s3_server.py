"""moto's S3 server on port 9000, which keeps in /data what it was told: its memory ends with it."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

KEPT = Path("/data/requests.jsonl")
os.environ["MOTO_RECORDER_FILEPATH"] = str(KEPT)

from moto.moto_api import recorder  # noqa: E402  # it reads the environment
from moto.server import ThreadedMotoServer  # noqa: E402

record, lock = recorder._record_request, threading.Lock()


def record_change(request: Any, body: Any = None) -> None:
    """Keep a request that changes something, one at a time."""
    if request.method not in ("GET", "HEAD"):
        with lock:
            record(request, body)


if KEPT.exists():
    # The last line may have been cut off, of a request that was never answered.
    whole = [line for line in KEPT.read_text().splitlines(keepends=True) if line.endswith("\n")]
    KEPT.write_text("".join(whole))
    replay = ThreadedMotoServer(ip_address="127.0.0.1", port=9001, verbose=False)
    replay.start()
    recorder.replay_recording("http://127.0.0.1:9001")
    replay.stop()
recorder._record_request = record_change  # type: ignore[method-assign]
recorder.start_recording()
ThreadedMotoServer(ip_address="0.0.0.0", port=9000, verbose=False).start()
signal.pause()
