"""A real Chromium, driven by Playwright."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

BROWSER_WAIT_MS = 60_000
"""For what a page does; a busy machine takes long."""
# The shell opens a context in a third of the time; the others start two renderers for each page.
_NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """Path of a Chromium: PETSEARCH_CHROMIUM, else the first one on PATH."""
    named = os.environ.get("PETSEARCH_CHROMIUM")
    if named is not None:
        return named or None
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def launch(playwright: Playwright, executable: str) -> Browser:
    """Start it without talking to anybody but the pages it is given."""
    arguments = [*_QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return playwright.chromium.launch(executable_path=executable, args=arguments)
