"""Throughput of the embedder service relative to bare loops: `make bench-embedder`.

Every figure of the service, which runs in its own process, is measured right after the bare loop in
this process that it is divided by, so that other load affects both. By default the model is
ViT-B/32 with random weights: its speed does not depend on its weights.
"""

import io
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import numpy as np
import typer
from PIL import Image

from bench import device_limits
from bench.clocks import WARM_UP_S, rate, rate_of_many, times_in_turns_ms, times_ms
from bench.random_model import random_vit
from bench.shared_data import PHOTOS
from devstack.addresses import free_port
from petsearch.adapters import embedder_http
from petsearch.domain import Pixels, PixelSpec, Priority
from petsearch.observability import configure_logging
from petsearch.photos import Decoders, ImageLimits, decode, preprocessing
from petsearch.process_tuning import tune_process
from services.embedder.decoder import Decoder

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

_BATCH_SIZES = {"cpu": (8, 16, 32, 64), "cuda": (64, 128, 256)}
_IMAGE_CLIENTS = 8
_TEXT_CLIENTS = 16
_PER_REQUEST = 16
_WORDS = (
    *("a", "the", "small", "old", "grey", "black", "white", "cat", "dog", "sleeping", "running"),
    *("on", "grass", "sofa", "with", "bell"),
)


@dataclass(frozen=True)
class Pair:
    """Rates per second and durations in milliseconds, of bare loops and of the service."""

    bare_batch_size: int
    bare_before_pixels_per_s: float
    bare_before_jpegs_per_s: float
    wire_images_per_s: float
    http_pixels_per_s: float
    http_jpegs_per_s: float
    decoded_per_s: float
    open_clip_texts_per_s: float
    http_texts_per_s: float
    trimmed_encode_ms: float
    lone_query_p50_ms: float
    idle_query_p95_ms: float
    query_p95_under_ingest_ms: float
    ingest_per_s_meanwhile: float


@dataclass(frozen=True)
class Report:
    """All pairs, and the medians of their ratios."""

    model: str
    device: str
    device_name: str
    precision: str
    pairs: list[Pair]
    arithmetic_images_per_s: float
    pixels_ratio: float
    pixels_share_of_wire: float
    bare_share_of_arithmetic: float
    jpegs_ratio: float
    jpegs_limit: float
    jpegs_share_of_limit: float
    texts_ratio: float
    lone_query_over_bar: float
    ingest_p95_over_bar: float


def main(
    *,
    model: Annotated[str, typer.Option(help="Empty: ViT-B/32 at random weights.")] = "",
    photos: Annotated[Path, typer.Option(help="JPEGs to send.")] = PHOTOS,
    pairs: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(min=1.0, help="Of each measurement.")] = 8.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Run the pairs and print the report."""
    tune_process()
    configure_logging(level="ERROR")
    from petsearch.adapters.clip.model import load_model

    with tempfile.TemporaryDirectory() as folder:
        spec = model or random_vit(Path(folder))
        clip = load_model(spec)
        plain = _plain_text_encoder(spec)
        files = read_photos(photos)
        with service(spec) as running:
            measured = [_pair(clip, plain, running.address, files, seconds) for _ in range(pairs)]
    report = _report(model or "ViT-B/32, random weights", clip, measured)
    sys.stdout.write(json.dumps(asdict(report), indent=2) if as_json else _to_text(report))
    sys.stdout.write("\n")


def _pair(
    clip: "OpenClipModel",
    plain: Callable[[str], object],
    address: str,
    files: list[bytes],
    seconds: float,
) -> Pair:
    """Measure every figure of the service right after the bare figure that it is divided by."""
    pixels = _pixels(files, clip.info.pixel_spec)
    embedders = [embedder_http.connect(address) for _ in range(_TEXT_CLIENTS)]
    refused = [_refused_sender(address, pixels) for _ in range(_IMAGE_CLIENTS)]
    wire = _PER_REQUEST * rate_of_many(refused, seconds / 2)
    sizes = _BATCH_SIZES[clip.info.device.partition(":")[0]]
    best = max(sizes, key=lambda size: _bare_images(clip, pixels, size, seconds / 4))
    bare_pixels = _bare_images(clip, pixels, best, seconds)
    send_pixels = [_pixel_sender(e, pixels, Priority.QUERY) for e in embedders[:_IMAGE_CLIENTS]]
    http_pixels = _PER_REQUEST * rate_of_many(send_pixels, seconds)
    bare_jpegs = _bare_images(clip, pixels, best, seconds)
    send_jpegs = [_jpeg_sender(address, files) for _ in range(_IMAGE_CLIENTS)]
    http_jpegs = _PER_REQUEST * rate_of_many(send_jpegs, seconds)
    decoded = _decoded_per_s(files[:_PER_REQUEST], clip.info.pixel_spec, seconds / 2)
    open_clip_texts = rate(lambda: plain(_query()), seconds / 2)
    send_texts = [lambda e=e: e.embed_texts([_query()]) for e in embedders]
    http_texts = rate_of_many(send_texts, seconds)
    encode_ms, lone = times_in_turns_ms(
        lambda: clip.encode_tokens(clip.tokenise([_query()])), send_texts[0], seconds
    )
    under = _under_ingest(embedders, pixels, seconds)
    for embedder in embedders:
        embedder.close()
    return Pair(
        bare_batch_size=best,
        bare_before_pixels_per_s=bare_pixels,
        bare_before_jpegs_per_s=bare_jpegs,
        wire_images_per_s=wire,
        http_pixels_per_s=http_pixels,
        http_jpegs_per_s=http_jpegs,
        decoded_per_s=decoded,
        open_clip_texts_per_s=open_clip_texts,
        http_texts_per_s=http_texts,
        trimmed_encode_ms=statistics.median(encode_ms),
        lone_query_p50_ms=statistics.median(lone),
        idle_query_p95_ms=float(np.percentile(lone, 95)),
        query_p95_under_ingest_ms=under[0],
        ingest_per_s_meanwhile=under[1],
    )


# --- bare loops -----------------------------------------------------------------------------


def _bare_images(clip: "OpenClipModel", pixels: Pixels, size: int, seconds: float) -> float:
    batch = np.concatenate([pixels] * (size // len(pixels) + 1))[:size]
    clip.encode_pixels(batch)
    return size * rate(lambda: clip.encode_pixels(batch), seconds)


def _decoded_per_s(files: Sequence[bytes], spec: PixelSpec, seconds: float) -> float:
    """Files per second that the service's decoder turns into pixels with all cores to itself."""
    cores = os.cpu_count() or 1
    decoders = Decoders(ImageLimits(), processes=cores)
    decoder = Decoder(decoders)
    turn = itertools.cycle(files)

    def decode_next() -> None:
        decoder.submit(next(turn), spec).result()

    # Two for each core, so that one waits while the other is decoded.
    try:
        return rate_of_many([decode_next] * (2 * cores), seconds)
    finally:
        decoder.close()


def _plain_text_encoder(spec: str) -> Callable[[str], object]:
    """`encode_text` as in open_clip's README: one text, all 77 positions, fp32."""
    import open_clip
    import torch

    from petsearch.adapters.clip import resolve_model

    source = resolve_model(spec)
    model, _, _ = open_clip.create_model_and_transforms(
        source.architecture, pretrained=source.pretrained
    )
    model.eval()
    tokenizer = open_clip.get_tokenizer(source.architecture)

    @torch.inference_mode()
    def encode(text: str) -> object:
        return model.encode_text(tokenizer([text]), normalize=True)

    return encode


# --- the service ----------------------------------------------------------------------------


@dataclass(frozen=True)
class EmbedderProcess:
    """The embedder in its own process."""

    address: str
    pid: int


@contextmanager
def service(spec: str) -> Iterator[EmbedderProcess]:
    """Run the embedder with a model; it is ready when this yields."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "uvicorn", "--factory", "services.embedder.main:create_app"),
            *("--port", str(port), "--no-access-log", "--log-level", "warning"),
        ],
        env={**os.environ, "PETSEARCH_MODEL": spec, "PETSEARCH_LOG_LEVEL": "ERROR"},
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(address, process)
        yield EmbedderProcess(address, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{address}/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit("the embedder did not start")


def _pixel_sender(
    embedder: embedder_http.HttpEmbedder, pixels: Pixels, priority: Priority
) -> Callable[[], object]:
    batch = np.concatenate([pixels] * (_PER_REQUEST // len(pixels) + 1))[:_PER_REQUEST]
    return lambda: embedder.embed_pixels(batch, priority=priority)


def _refused_sender(address: str, pixels: Pixels) -> Callable[[], object]:
    """The service reads the pixels and discards them: the limit of the connection."""
    client = httpx.Client(base_url=address, timeout=120)
    content = np.concatenate([pixels] * (_PER_REQUEST // len(pixels) + 1))[:_PER_REQUEST].tobytes()
    headers = {"X-Shape": "0", "X-Model-Id": "none", "Content-Type": embedder_http.BINARY}

    def send() -> None:
        answer = client.post("/v1/embed/pixels", content=content, headers=headers)
        assert answer.status_code == httpx.codes.CONFLICT, answer.text

    return send


def _jpeg_sender(address: str, files: list[bytes]) -> Callable[[], object]:
    client = httpx.Client(base_url=address, timeout=120)
    chosen = [files[n % len(files)] for n in range(_PER_REQUEST)]
    body = [("images", (f"{n}.jpg", data, "image/jpeg")) for n, data in enumerate(chosen)]
    return lambda: client.post("/v1/embed/images", files=body).raise_for_status()


def _under_ingest(
    embedders: Sequence[embedder_http.HttpEmbedder], pixels: Pixels, seconds: float
) -> tuple[float, float]:
    """p95 of single queries in ms while bulk work saturates the service, and its images/s."""
    bulk = [_pixel_sender(e, pixels, Priority.INGEST) for e in embedders[1 : _IMAGE_CLIENTS + 1]]
    found: list[float] = []

    def ask() -> None:
        time.sleep(WARM_UP_S)
        found.extend(times_ms(lambda: embedders[0].embed_texts([_query()]), seconds))

    asking = threading.Thread(target=ask)
    asking.start()
    images_per_s = _PER_REQUEST * rate_of_many(bulk, seconds)
    asking.join()
    return float(np.percentile(found, 95)), images_per_s


# --- what is sent ---------------------------------------------------------------------------


def _query() -> str:
    return " ".join(random.choices(_WORDS, k=8))


def read_photos(folder: Path) -> list[bytes]:
    """The JPEGs in a folder, or generated ones if it does not exist."""
    found = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))]
    return found or [_noise(seed) for seed in range(16)]


def _noise(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _pixels(files: list[bytes], spec: PixelSpec) -> Pixels:
    limits = ImageLimits()
    decoded = [decode.decode(data, limits).picture for data in files[:_PER_REQUEST]]
    return np.stack([preprocessing.to_pixels(picture, spec) for picture in decoded])


# --- the report -----------------------------------------------------------------------------


def _jpegs_limit(pair: Pair, device: str) -> float:
    """What decoding allows over HTTP, as a share of the bare loop, which is given pixels.

    A model on the CPU has the cores only while nothing is decoded on them, so the times of a
    photo add up; a GPU works meanwhile, and the slower of both sets the pace.
    """
    encoded, decoded = pair.bare_before_jpegs_per_s, pair.decoded_per_s
    if device == "cpu":
        return 1 / (1 + encoded / decoded)
    return min(1.0, decoded / encoded)


def _report(name: str, clip: "OpenClipModel", pairs: list[Pair]) -> Report:
    def median(ratio: Callable[[Pair], float]) -> float:
        return statistics.median(ratio(pair) for pair in pairs)

    most = device_limits.most_flops_per_s(clip.info.device, clip.info.precision)
    arithmetic = most / device_limits.flops_per_image(clip)

    def jpegs_ratio(pair: Pair) -> float:
        return pair.http_jpegs_per_s / pair.bare_before_jpegs_per_s

    def ingest_bar_ms(pair: Pair) -> float:
        return 2.5 * pair.idle_query_p95_ms + 200.0

    return Report(
        model=name,
        device=clip.info.device,
        device_name=device_limits.device_name(clip.info.device),
        precision=clip.info.precision,
        pairs=pairs,
        arithmetic_images_per_s=arithmetic,
        pixels_ratio=median(lambda p: p.http_pixels_per_s / p.bare_before_pixels_per_s),
        pixels_share_of_wire=median(lambda p: p.http_pixels_per_s / p.wire_images_per_s),
        bare_share_of_arithmetic=median(lambda p: p.bare_before_pixels_per_s / arithmetic),
        jpegs_ratio=median(jpegs_ratio),
        jpegs_limit=median(lambda p: _jpegs_limit(p, clip.info.device)),
        jpegs_share_of_limit=median(lambda p: jpegs_ratio(p) / _jpegs_limit(p, clip.info.device)),
        texts_ratio=median(lambda p: p.http_texts_per_s / p.open_clip_texts_per_s),
        lone_query_over_bar=median(
            lambda p: p.lone_query_p50_ms / (1.3 * p.trimmed_encode_ms + 2.0)
        ),
        ingest_p95_over_bar=median(lambda p: p.query_p95_under_ingest_ms / ingest_bar_ms(p)),
    )


def _to_text(report: Report) -> str:
    lines = [f"{report.model} on {report.device_name}, {report.precision}"]
    for p in report.pairs:
        lines.append(
            f"  images/s: bare {p.bare_before_pixels_per_s:.1f} (batch {p.bare_batch_size}), "
            f"pixels {p.http_pixels_per_s:.1f}, bare {p.bare_before_jpegs_per_s:.1f}, JPEGs "
            f"{p.http_jpegs_per_s:.1f}, decoding alone {p.decoded_per_s:.1f} | texts/s: "
            f"open_clip {p.open_clip_texts_per_s:.1f}, HTTP "
            f"{p.http_texts_per_s:.1f} | query ms: encode {p.trimmed_encode_ms:.1f}, p50 "
            f"{p.lone_query_p50_ms:.1f}, p95 {p.idle_query_p95_ms:.1f}, p95 under ingest "
            f"{p.query_p95_under_ingest_ms:.0f} (ingest {p.ingest_per_s_meanwhile:.1f}/s)"
        )
    lines += [
        f"pixels over HTTP, 8 clients: {report.pixels_ratio:.2f} x the bare loop (bar: 0.90)",
        f"JPEGs over HTTP, 8 clients: {report.jpegs_ratio:.2f} x the bare loop (bar: 0.85; "
        f"decoding{_on_same_cores(report)} allows {report.jpegs_limit:.2f}, of which "
        f"{report.jpegs_share_of_limit:.2f} is reached)",
        f"texts over HTTP, 16 clients: {report.texts_ratio:.1f} x open_clip's encode_text "
        "one at a time (bar: 3)",
        f"lone query p50: {report.lone_query_over_bar:.2f} of its bar (1.3 x encode + 2 ms)",
        f"query p95 under ingest: {report.ingest_p95_over_bar:.2f} of its bar "
        "(2.5 x idle p95 + 200 ms)",
    ]
    lines.append(
        f"limits: the pixels' rate is {report.pixels_share_of_wire:.2f} of the wire's (the service "
        f"reads and refuses), the bare loop's {report.bare_share_of_arithmetic:.2f} of the "
        f"device's arithmetic ({report.arithmetic_images_per_s:.0f} images/s at the rate of a "
        "large matrix product)"
    )
    if report.device == "cpu":
        lines.append("CUDA: not measured")
    return "\n".join(lines)


def _on_same_cores(report: Report) -> str:
    return " on the same cores" if report.device == "cpu" else ""


if __name__ == "__main__":
    typer.run(main)
