"""Scrolling through thousands of photos in the web page, to check that it stays fast.

`make bench-web` seeds an index and a store directly with 5,000 records whose thumbnails are
drawings, serves them, and scrolls a real Chromium from the first to the last. For each fifth of the
way it prints the time from requesting to showing a page of 60 photos, the frames per second of a
steady scroll over loaded photos, and the memory of the page.
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from bench.galleries import around_centres, record
from bench.standalone_server import standalone_server
from petsearch.app.services import Services, build_services
from petsearch.domain import Point, object_keys
from petsearch.photos.copies import thumbnail
from petsearch.sample.catalogue import catalogue
from petsearch.standalone import StandaloneOptions, standalone_settings

_DRAWINGS = 60
_BATCH = 500
_PARTS = 5
_LEAST_SHARE = 0.6
"""Of the frame rate at the start that must be left at the end."""

# Scrolls to the end, and waits until the next page is there and painted.
_NEXT_PAGE = """async () => {
    const before = document.querySelectorAll("#results .card").length;
    const started = performance.now();
    scrollTo(0, document.body.scrollHeight);
    while (document.querySelectorAll("#results .card").length === before &&
           !document.querySelector("#end").textContent) {
        await new Promise((resolve) => requestAnimationFrame(resolve));
    }
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    return [document.querySelectorAll("#results .card").length, performance.now() - started];
}"""

# 60 steps of 120 pixels, one a frame, upwards from where it stands: the milliseconds of each.
_FRAMES = """async () => {
    const frames = [];
    let last = performance.now();
    for (let step = 0; step < 60; step += 1) {
        scrollBy(0, -120);
        await new Promise((resolve) => requestAnimationFrame(resolve));
        const now = performance.now();
        frames.push(now - last);
        last = now;
    }
    return frames;
}"""


def _seed(services: Services, count: int) -> None:
    services.initialise()
    target = services.search.target()
    rows = around_centres(count, target.model.dim)
    files = [thumbnail(drawing.image) for drawing in catalogue(_DRAWINGS, seed=3)]
    for start in range(0, count, _BATCH):
        numbers = range(start, min(start + _BATCH, count))
        records = [record(number, target.model.model_id) for number in numbers]
        points = [Point(one, rows[n]) for n, one in zip(numbers, records, strict=True)]
        services.parts.writer.insert_everywhere(target.collection, points)
        for number, one in zip(numbers, records, strict=True):
            services.storage.store.put(
                object_keys.thumbnail(one.image_id), files[number % len(files)]
            )


def _scroll(page: Page, photos: int, table: Table) -> tuple[float, float]:
    """Frames per second over loaded photos, in the first and in the last fifth of the way."""
    page.goto("/")
    page.wait_for_selector("#results .card:not(.skeleton)")
    rates = []
    for part in range(1, _PARTS + 1):
        waits = []
        shown = 0
        while shown < photos * part // _PARTS:
            shown, wait = page.evaluate(_NEXT_PAGE)
            waits.append(wait)
        frames = page.evaluate(_FRAMES)
        rates.append(1000 / statistics.median(frames))
        heap = page.evaluate("performance.memory.usedJSHeapSize") / 1e6
        row = (f"{shown:,}", f"{statistics.median(waits):.0f}", f"{max(waits):.0f}")
        table.add_row(*row, f"{rates[-1]:.0f}", f"{max(frames):.0f}", f"{heap:.0f}")
    return rates[0], rates[-1]


def main(photos: Annotated[int, typer.Option(help="how many")] = 5000) -> None:
    """Seed an index, serve it, scroll through it and print a row for each fifth of the way."""
    executable = os.environ.get("PETSEARCH_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        sys.exit("chromium is not on PATH: install it, or set PETSEARCH_CHROMIUM to its path")
    table = Table("photos shown", "ms a page", "worst", "frames/s", "worst frame, ms", "heap, MB")
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        services = build_services(standalone_settings(StandaloneOptions(data_dir, "sample")))
        _seed(services, photos)
        services.close()
        with standalone_server("sample", data_dir) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=executable, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
            first, last = _scroll(browser.new_page(base_url=address), photos, table)
            browser.close()
    Console(width=100).print(table)
    if last < _LEAST_SHARE * first:
        sys.exit(f"{last:.0f} frames a second at the end, {first:.0f} at the start")


if __name__ == "__main__":
    typer.run(main)
