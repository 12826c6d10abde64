"""A device that hangs ends the process that has it; a pause of the process ends nothing."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from devstack import parts
from devstack.addresses import answers_http, free_port
from petsearch.app.watchdog import EXIT_STALLED
from tests.processes import Process, Processes
from tests.waiting import wait_until

STALLED_S = 4.0
SETTINGS = {"PETSEARCH_STALLED_S": str(STALLED_S), "PETSEARCH_LOG_JSON": "1"}
PROGRAM = """
import time
from pathlib import Path
from petsearch.adapters.clip.model import OpenClipModel
from petsearch.cli.main import main
from services.embedder.main import create_app

hangs, began = (Path(__file__).parent / name for name in ("hangs", "began"))
encode = OpenClipModel.encode_tokens

def hang_first(model, tokens):
    while hangs.exists():
        began.touch()
        time.sleep(0.02)
    return encode(model, tokens)

OpenClipModel.encode_tokens = hang_first
if __name__ == "__main__":
    main()
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "logs") as opened:
        yield opened


def start(processes: Processes, folder: Path) -> tuple[Process, str]:
    """An embedder whose device hangs while there is a file `hangs`."""
    port = free_port()
    (folder / "hanging.py").write_text(PROGRAM)
    settings = {**SETTINGS, "PETSEARCH_MODEL": "sample"}
    part = parts.http_service("embedder", "embedder", port, settings)
    app = {"services.embedder.main:create_app": "hanging:create_app"}
    command = (*(app.get(word, word) for word in part.command), "--app-dir", str(folder))
    embedder = processes.add_part(replace(part, command=command))
    embedder.wait_until_up()
    return embedder, f"http://127.0.0.1:{port}"


def embed(url: str) -> int:
    """Embed a text; the status."""
    body = {"texts": ["a grey cat"]}
    return httpx.post(f"{url}/v1/embed/texts", json=body, timeout=120).status_code


def test_a_call_of_the_device_that_hangs_ends_the_embedder_and_a_pause_does_not(
    processes: Processes, tmp_path: Path
) -> None:
    hangs, began = tmp_path / "hangs", tmp_path / "began"
    embedder, url = start(processes, tmp_path)
    with ThreadPoolExecutor() as threads:
        hangs.touch()
        answer = threads.submit(embed, url)
        wait_until(began.exists)
        os.killpg(embedder.pid, signal.SIGSTOP)
        time.sleep(2 * STALLED_S)  # the pause itself
        hangs.unlink()
        os.killpg(embedder.pid, signal.SIGCONT)
        assert answer.result() == 200
        assert embed(url) == 200

        hangs.touch()
        lost = threads.submit(embed, url)
        wait_until(lambda: not embedder.is_alive)
        assert embedder.exit_code == EXIT_STALLED
        assert isinstance(lost.exception(), httpx.TransportError)
    assert '"work": ["device call"]' in embedder.log
    assert "hang_first" in embedder.log, "where it hangs is in the log"
    # Those of uvicorn, too.
    lines = [json.loads(line) for line in embedder.log.splitlines()]
    assert any(line["event"] == "Application startup complete." for line in lines)


def test_a_call_of_the_device_that_hangs_ends_a_single_process(
    processes: Processes, tmp_path: Path
) -> None:
    port = free_port()
    (program := tmp_path / "hanging.py").write_text(PROGRAM)
    words = ["serve", "--data-dir", str(tmp_path / "data"), "--model", "sample"]
    url = f"http://127.0.0.1:{port}"
    serve = processes.add(
        "serve",
        [sys.executable, str(program), *words, "--port", str(port)],
        answers=answers_http(f"{url}/readyz"),
        env=SETTINGS,
    )
    serve.wait_until_up()
    (tmp_path / "hangs").touch()
    with pytest.raises(httpx.TransportError):
        while serve.is_alive:  # until it ends, a search gets 503 at its deadline
            assert httpx.get(f"{url}/v1/search?q=cat", timeout=60).status_code == 503
    wait_until(lambda: not serve.is_alive)
    assert serve.exit_code == EXIT_STALLED
    assert '"work": ["device call"]' in serve.log
    (tmp_path / "hangs").unlink()
    serve.start()  # it takes the first one's Redis over, and ends it
    serve.wait_until_up()
    assert httpx.get(f"{url}/v1/search?q=cat", timeout=60).status_code == 200
    serve.stop()
