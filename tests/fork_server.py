"""A process that has imported the libraries and forks itself into the programs that tests start.

Importing torch, open_clip and the services takes seconds of processor time; a fork of a process
that has them takes none. A request is one message with the command and four descriptors: standard
input, output and error, and a socket that receives the process id and later the exit code.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
from dataclasses import dataclass

MOST_BYTES = 1 << 17
"""Of a request."""
PRELOADED = (
    "petsearch.adapters.clip.model",
    "petsearch.adapters.qdrant.edge_index",
    "petsearch.adapters.qdrant.index",
    "petsearch.cli.main",
    "petsearch.standalone",
    "services.api.main",
    "services.embedder.main",
    "services.worker.main",
    "uvicorn.main",
)


@dataclass(frozen=True)
class Request:
    """What a child becomes."""

    module: str
    arguments: list[str]
    env: dict[str, str]
    cwd: str
    has_own_session: bool
    descriptors: tuple[int, int, int]


def main() -> None:
    """Serve the socket whose descriptor is the argument; returns in a child, and at the end."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # collections in the children leave the shared memory alone
    request = _serve(control)
    if request is not None:
        _become(request)


def _serve(control: socket.socket) -> Request | None:
    """Fork for each request. Returns the request in the child, None when nobody can ask."""
    children: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as waiting:
        waiting.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is not control:
                    waiting.unregister(key.fileobj)
                    _report(key.fd, *children.pop(key.fd))
                    continue
                message, descriptors, _, _ = socket.recv_fds(control, MOST_BYTES, 4)
                if not message:
                    return None
                asked, (*standard, answers) = json.loads(message), descriptors
                answer = socket.socket(fileno=answers)
                pid = os.fork()
                if not pid:
                    _close([control, answer, *(held for _, held in children.values())], [*children])
                    return Request(**asked, descriptors=(standard[0], standard[1], standard[2]))
                for descriptor in standard:
                    os.close(descriptor)
                answer.sendall(f"{pid}\n".encode())
                ended = os.pidfd_open(pid)
                children[ended] = (pid, answer)
                waiting.register(ended, selectors.EVENT_READ)


def _report(ended: int, pid: int, answer: socket.socket) -> None:
    os.close(ended)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with answer:
        try:
            answer.sendall(f"{code}\n".encode())
        except BrokenPipeError:
            return  # nobody waits for it any more


def _close(sockets: list[socket.socket], descriptors: list[int]) -> None:
    for held in sockets:
        held.close()
    for descriptor in descriptors:
        os.close(descriptor)


def _become(request: Request) -> None:
    if request.has_own_session:
        os.setsid()
    for target, descriptor in enumerate(request.descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.env)
    sys.argv = ["", *request.arguments]
    if not hasattr(sys.modules.get(request.module), "__path__"):
        sys.modules.pop(request.module, None)  # else runpy warns that it was imported before
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
