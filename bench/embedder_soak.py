"""A long mixed load on the embedder service, to check that its memory does not grow.

Prints resident memory over time, its peaks in the first and the last tenth after a warm-up, and the
responses. The warm-up covers every batch size, because kernels are created and kept on first use.
"""

import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer

from bench.embedder import read_photos, service
from bench.shared_data import PHOTOS
from petsearch.adapters.embedder_http import BINARY

_CLIENTS = 6
_COMPARED_SHARE = 0.1
_SAMPLES = 60


def main(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="After the warm-up.")] = 30.0,
    warm_up_minutes: Annotated[float, typer.Option(min=0)] = 5.0,
    model: Annotated[str, typer.Option()] = "sample",
    photos: Annotated[Path, typer.Option(help="JPEGs to send.")] = PHOTOS,
) -> None:
    """Run the load and print; exits with code 1 if memory grew by more than 5 %."""
    files = read_photos(photos)
    with service(model) as running:
        info = httpx.get(f"{running.address}/v1/models").json()["models"][0]
        side = info["pixel_spec"]["height"]
        answers: Counter[int] = Counter()
        ends = time.monotonic() + (warm_up_minutes + minutes) * 60
        threads = [
            threading.Thread(target=_load, args=(running.address, side, files, ends, answers))
            for _ in range(_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(warm_up_minutes * 60)
        resident = _watch(running.pid, threads, every_s=minutes * 60 / _SAMPLES)
    compared = round(_SAMPLES * _COMPARED_SHARE)
    before, after = max(resident[:compared]), max(resident[-compared:])
    series = " ".join(f"{megabytes:.0f}" for megabytes in resident)
    sys.stdout.write(
        f"resident MB, {_SAMPLES} times: {series}\n"
        f"{minutes:g} minutes after {warm_up_minutes:g} of warm-up, {sum(answers.values())} "
        f"requests, by status {dict(answers)}: at most {before:.0f} MB in the first tenth, "
        f"{after:.0f} MB in the last, ratio {after / before:.3f} (bar: 1.05)\n"
    )
    if after > 1.05 * before:
        raise typer.Exit(1)


def _watch(pid: int, threads: list[threading.Thread], every_s: float) -> list[float]:
    """Resident memory in MB at regular intervals until the load ends."""
    resident = []
    for _ in range(_SAMPLES):
        time.sleep(every_s)
        resident.append(_resident_mb(pid))
    for thread in threads:
        thread.join()
    return resident


def _load(
    address: str, side: int, files: list[bytes], ends: float, answers: "Counter[int]"
) -> None:
    rng = random.Random(threading.get_ident())
    with httpx.Client(base_url=address, timeout=120) as http:
        while time.monotonic() < ends:
            status = rng.choice((_texts, _pixels, _images))(http, rng, side, files)
            answers[status] += 1


def _texts(http: httpx.Client, rng: random.Random, _side: int, _files: list[bytes]) -> int:
    texts = ["cat " * rng.randint(0, 90) for _ in range(rng.randint(1, 40))]
    return http.post("/v1/embed/texts", json={"texts": texts}).status_code


def _pixels(http: httpx.Client, rng: random.Random, side: int, _files: list[bytes]) -> int:
    rows = rng.randint(1, 48)
    content = np.zeros((rows, 3, side, side), np.uint8).tobytes()
    headers = {"X-Shape": f"{rows},3,{side},{side}", "Content-Type": BINARY, "Accept": BINARY}
    priority = {"X-Priority": rng.choice(("query", "ingest"))}
    answer = http.post("/v1/embed/pixels", content=content, headers={**headers, **priority})
    return answer.status_code


def _images(http: httpx.Client, rng: random.Random, _side: int, files: list[bytes]) -> int:
    chosen = [rng.choice(files) for _ in range(rng.randint(1, 12))]
    body = [("images", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(chosen)]
    return http.post("/v1/embed/images", files=body).status_code


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    typer.run(main)
