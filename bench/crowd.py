"""Many callers at once, in a process of their own at a low priority: `python -m bench.crowd ORDER`.

ORDER is an `Order` as JSON; the `Tally` is printed as JSON. The priority is below the server's,
so that on the same cores the crowd waits rather than the server.
"""

import asyncio
import gc
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import uvloop

from bench.http_line import Line, Reply, connect, request
from petsearch.domain.prompts import OXFORD_LABELS

_NICENESS = 10
_PATIENCE_S = 30.0
"""After which a caller gives up; it counts as broken."""
_MOST_OPEN = 1500
_BOUNDARY = "crowd"
_LOOKS = ("fluffy", "grey", "young", "sleeping", "wet", "long-haired", "spotted", "shy", "old")
_PLACES = ("sofa", "snow", "station", "fence", "collar", "garden", "window", "street", "kennel")


class Kind(StrEnum):
    """What a request asks for."""

    WORDS = "words"
    PHOTO = "photo"
    UPLOAD = "upload"


@dataclass(frozen=True)
class Order:
    """What the crowd does."""

    port: int
    key: str
    photos: list[str]
    """Files of encoded pictures."""
    seconds: float
    loops: dict[Kind, int] = field(default_factory=dict)
    """Callers that send one request after another."""
    rates: dict[Kind, float] = field(default_factory=dict)
    """Requests per second that are sent whatever becomes of the earlier ones."""
    slow_uploads: int = 0
    """Callers that upload at `slow_bytes_per_s`, one photo after another."""
    slow_bytes_per_s: int = 10 * 1024
    pause_s: float = 0.0
    """After which a refused caller of `loops` or of slow uploads asks again."""
    seed: int = 0


@dataclass
class Tally:
    """What the callers got; JSON has string keys."""

    statuses: dict[str, int] = field(default_factory=dict)
    """By kind and status, as `photo 200`."""
    without_retry_after: int = 0
    """Refusals."""
    broken: int = 0
    """Connections that ended without a response, and callers who gave up."""
    unsent: int = 0
    """Requests that were due while too many were open."""
    good_ms: list[float] = field(default_factory=list)
    """Times of those that were answered 2xx before the end."""
    refused_ms: list[float] = field(default_factory=list)
    sent: int = 0
    seconds: float = 0.0

    @property
    def good_per_s(self) -> float:
        """Requests that were done, per second."""
        return len(self.good_ms) / self.seconds

    def count(self, name: str) -> int:
        """Of a kind and status."""
        return self.statuses.get(name, 0)

    def odd(self) -> dict[str, int]:
        """What is neither done nor refused as it should be."""
        allowed = ("2", "429", "503")
        return {
            name: count
            for name, count in self.statuses.items()
            if not name.split()[1].startswith(allowed)
        }


def send_crowd(order: Order) -> Tally:
    """Let a crowd do as ordered, and wait for its end."""
    with crowd_of(order) as crowd:
        return wait_for_crowd(crowd)


@contextmanager
def crowd_of(order: Order) -> Iterator[subprocess.Popen[str]]:
    """A crowd that is there until the block ends, however it ends."""
    command = [sys.executable, "-m", "bench.crowd", json.dumps(asdict(order))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as crowd:
        try:
            yield crowd
        finally:
            crowd.kill()


def end_crowd(crowd: subprocess.Popen[str]) -> Tally:
    """End a crowd now; what it got."""
    crowd.terminate()
    return wait_for_crowd(crowd)


def wait_for_crowd(crowd: subprocess.Popen[str]) -> Tally:
    """What a crowd got, when it has ended."""
    output, _ = crowd.communicate()
    if crowd.returncode:
        raise RuntimeError("the crowd failed")
    return Tally(**json.loads(output))


class Requests:
    """Endless requests of a kind, no two of which are equal."""

    def __init__(self, key: str, photos: list[bytes], seed: int) -> None:
        self._key = key
        self._photos = photos
        self._seed = seed
        self._numbers = itertools.count()
        self._random = random.Random(seed)

    def next(self, kind: Kind) -> bytes:
        """One more request."""
        if kind is Kind.WORDS:
            return request("GET", f"/v1/search?limit=20&q={self._words()}", self._key)
        path, field_name = _FORMS[kind]
        return self._form(path, field_name)

    def _words(self) -> str:
        breed = self._random.choice(OXFORD_LABELS).breed.replace(" ", "+")
        chosen = map(self._random.choice, (_LOOKS, _LOOKS, _PLACES, _PLACES))
        return "+".join((*chosen, breed, str(next(self._numbers))))

    def _form(self, path: str, name: str) -> bytes:
        # Bytes after the end of a picture are no part of it, and make it another file.
        number = next(self._numbers)
        photo = self._photos[number % len(self._photos)] + f"{self._seed} {number}".encode()
        head = f'Content-Disposition: form-data; name="{name}"; filename="{number}.jpg"'
        kind = "Content-Type: image/jpeg"
        body = f"--{_BOUNDARY}\r\n{head}\r\n{kind}\r\n\r\n".encode() + photo
        body += f"\r\n--{_BOUNDARY}--\r\n".encode()
        return request("POST", path, self._key, body, f"multipart/form-data; boundary={_BOUNDARY}")


_FORMS = {
    Kind.PHOTO: ("/v1/search/image", "photo"),
    Kind.UPLOAD: ("/v1/images", "photos"),
}


class Crowd:
    """Callers of one server."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._requests = Requests(
            order.key, [Path(file).read_bytes() for file in order.photos], order.seed
        )
        self._idle: list[Line] = []
        self._open = 0
        self._statuses: Counter[str] = Counter()
        self._tally = Tally(seconds=order.seconds)

    async def run(self) -> Tally:
        """Call until the time is over; what is on its way then does not count."""
        order = self._order
        self._ends_at = time.perf_counter() + order.seconds
        callers = [
            self._loop(Kind(kind)) for kind, count in order.loops.items() for _ in range(count)
        ]
        callers += [self._slowly() for _ in range(order.slow_uploads)]
        callers += [self._steadily(Kind(kind), rate) for kind, rate in order.rates.items()]
        tasks = [asyncio.create_task(caller) for caller in callers]
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), order.seconds)
        self._tally.seconds = order.seconds - max(0.0, self._left_s)
        self._ends_at = time.perf_counter()
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        self._tally.statuses = dict(sorted(self._statuses.items()))
        return self._tally

    async def _loop(self, kind: Kind) -> None:
        line: Line | None = None
        while self._left_s > 0:
            if line is None or not line.is_open:
                line = await self._connected()
                continue
            reply = await self._ask(line, kind, self._requests.next(kind))
            if reply is None:
                line = None
            elif reply.is_refusal:
                await asyncio.sleep(self._order.pause_s)

    async def _connected(self) -> Line | None:
        """A new connection; None, a moment later, where it is refused."""
        try:
            return await connect(self._order.port)
        except OSError:
            self._tally.broken += 1
            await asyncio.sleep(self._order.pause_s)
            return None

    async def _steadily(self, kind: Kind, rate: float) -> None:
        began, tasks = time.perf_counter(), set[asyncio.Task[None]]()
        for number in itertools.count():
            await asyncio.sleep(began + number / rate - time.perf_counter())
            if self._left_s <= 0:
                break
            task = asyncio.create_task(self._ask_once(kind, self._requests.next(kind)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        for task in tasks:
            task.cancel()

    async def _ask_once(self, kind: Kind, data: bytes) -> None:
        if self._open >= _MOST_OPEN:
            self._tally.unsent += 1
            return
        self._open += 1
        try:
            line = await self._idle_line()
            reply = await self._ask(line, kind, data)
        except OSError:
            self._tally.broken += 1
        else:
            if reply is not None and not reply.closes:
                self._idle.append(line)
        finally:
            self._open -= 1

    async def _idle_line(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if line.is_open:
                return line
        return await connect(self._order.port)

    async def _slowly(self) -> None:
        step_s = 0.25
        size = int(self._order.slow_bytes_per_s * step_s)
        await asyncio.sleep(random.random())  # not all in step
        while self._left_s > 0:
            if (line := await self._connected()) is None:
                continue
            data = self._requests.next(Kind.UPLOAD)
            self._tally.sent += 1
            began, expected = time.perf_counter(), line.expect_reply()
            for start in range(0, len(data), size):
                if expected.done():
                    break
                line.write(data[start : start + size])
                await asyncio.sleep(step_s)
            reply = await self._reply("slow", began, expected)
            line.close()
            if reply is not None and reply.is_refusal:
                await asyncio.sleep(self._order.pause_s)

    async def _ask(self, line: Line, kind: Kind, data: bytes) -> Reply | None:
        began, expected = time.perf_counter(), line.expect_reply()
        self._tally.sent += 1
        line.write(data)
        reply = await self._reply(kind, began, expected)
        if reply is None or reply.closes:
            line.close()
        return reply

    async def _reply(
        self, name: str, began: float, expected: asyncio.Future[Reply]
    ) -> Reply | None:
        reply = None
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                reply = await expected
        if self._left_s <= 0:
            return reply
        if reply is None:
            self._tally.broken += 1
            return None
        milliseconds = (time.perf_counter() - began) * 1e3
        self._statuses[f"{name} {reply.status}"] += 1
        if reply.status < 300:
            self._tally.good_ms.append(milliseconds)
        elif reply.is_refusal:
            self._tally.refused_ms.append(milliseconds)
            self._tally.without_retry_after += not reply.has_retry_after
        return reply

    @property
    def _left_s(self) -> float:
        return self._ends_at - time.perf_counter()


def main() -> None:
    """Do as the first argument says, and print the tally."""
    os.nice(_NICENESS)
    gc.freeze()
    tally = uvloop.run(Crowd(Order(**json.loads(sys.argv[1]))).run())
    sys.stdout.write(json.dumps(asdict(tally)))


if __name__ == "__main__":
    main()
