"""A child process that decodes, from its parent's side."""

import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate, pairwise
from multiprocessing import Pipe
from multiprocessing.reduction import send_handle

from petsearch.confined import start_child
from petsearch.domain import deadline
from petsearch.domain.errors import DecoderLost, NotAnImage, PetsearchError, TooLarge, Unavailable
from petsearch.photos import child_messages as messages
from petsearch.photos.opening import Encoded, ImageLimits

PART = "the decoder of photos"
_START_S = 60.0
_COPIES = 3
"""Display copy, thumbnail and grey pixels."""
_STALL_FACTOR = 20
"""How many times the allowed processor time a photo may take, on a machine that is busy."""
_END_S = 5.0
"""For a process that has closed its socket to end."""
_KEPT_BYTES = 2_000_000
"""Of a shared file between photos: what most need, so that its pages are not made anew."""


class ChildProcess:
    """A process that decodes one photo at a time; see `child`. For one thread at a time.

    It ends when its parent does, however that ends: the socket is closed then.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, niceness: int) -> None:
        with ExitStack() as opened:
            self._given, self._made = (_shared_file(opened) for _ in range(2))
            self._socket, socket = Pipe()
            opened.callback(self._socket.close)
            with socket:
                theirs = (socket.fileno(), self._given, self._made)
                self._process = start_child(
                    "petsearch.photos.child", (niceness, *theirs), files=theirs
                )
            self._opened = opened.pop_all()
        self._is_ready = False
        self._arrivals = select.poll()
        self._arrivals.register(self._socket, select.POLLIN)

    def kill(self) -> None:
        """End it. Any thread may call this; the one that uses it has to `close` it then."""
        self._process.kill()

    def close(self) -> None:
        """End it, and release what it took."""
        self._process.kill()
        self._process.wait()
        self._opened.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it was not ended from outside."""
        return self._process.poll() is None

    def give(self, data: Encoded, order: messages.Order) -> None:
        """Have it decode a file.

        Raises:
            Unavailable: it does not start, or was ended.
        """
        self._wait_until_ready()
        if isinstance(data, bytes):
            _write(self._given, data)
        with _ended_while_idle():
            self._socket.send_bytes(messages.ORDER.dump_json(order))
            if not isinstance(data, bytes):
                send_handle(self._socket, data.fileno(), self._process.pid)

    def reply(self, limits: ImageLimits) -> messages.Reply:
        """What it says next of the file that it has.

        Raises:
            TooLarge: it took more than the processor time that is allowed.
            NotAnImage: it crashed.
            Unavailable: the deadline of the request has passed.
            DecoderLost: it makes no progress, or was ended from outside.
        """
        wait_s = _STALL_FACTOR * limits.max_decode_s
        try:
            if not self._arrivals.poll(1000 * deadline.left_s(wait_s)):
                deadline.check(PART)
                raise DecoderLost(f"Decoding the photo did not end within {wait_s:g} s.")
            return messages.REPLY.validate_json(self._socket.recv_bytes(messages.MOST_BYTES))
        except ValueError:
            raise _broken_answer() from None
        except (EOFError, OSError):
            raise self._death(limits) from None

    def grant(self) -> None:
        """Say that there is room for what it needs."""
        with _ended_while_idle():
            self._socket.send_bytes(messages.GRANTED)

    def made(self, answer: messages.Answer, order: messages.Order) -> list[bytes]:
        """What it made of the picture: pixels, copies, or both.

        Raises:
            NotAnImage: it is not what was ordered.
        """
        if not _answers(answer.lengths, order, os.fstat(self._made).st_size):
            raise _broken_answer()
        places = pairwise(accumulate(answer.lengths, initial=0))
        parts = [os.pread(self._made, end - start, start) for start, end in places]
        for file in (self._given, self._made):
            if os.fstat(file).st_size > _KEPT_BYTES:
                os.ftruncate(file, 0)
        return parts

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        with suppress(EOFError, OSError):
            if self._arrivals.poll(1000 * _START_S):
                self._socket.recv_bytes(len(messages.READY))
                self._is_ready = True
        if not self._is_ready:
            raise Unavailable("The process that decodes photos does not start; see its messages.")

    def _death(self, limits: ImageLimits) -> PetsearchError:
        """Why it ended while it had a file."""
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:  # it speaks no sense; whoever has it ends it
            return _broken_answer()
        if code == -signal.SIGPROF:
            return TooLarge(
                f"Decoding this file takes more than {limits.max_decode_s:g} s of processor time, "
                "which is the most that is allowed."
            )
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            return DecoderLost(
                "The process that decoded the photo was killed, as when memory has run out."
            )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return NotAnImage(f"Decoding this file crashed the decoder ({name}).")


@contextmanager
def _ended_while_idle() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("The process that decodes photos was ended.") from error


def _answers(lengths: Sequence[int], order: messages.Order, size: int) -> bool:
    """Whether parts of these lengths are what was ordered, and in a file of `size` bytes."""
    spec = order.pixels
    pixels = [] if spec is None else [3 * spec.height * spec.width]
    copies = lengths[len(pixels) :]
    return (
        [*lengths[: len(pixels)]] == pixels
        and len(copies) == (0 if order.display_side is None else _COPIES)
        and min(lengths, default=0) >= 0
        and sum(lengths) <= size
    )


def _broken_answer() -> NotAnImage:
    return NotAnImage("The file cannot be decoded: its decoder gave a broken answer.")


def _shared_file(opened: ExitStack) -> int:
    """A file without a name, closed with `opened`: in memory where the system has such files."""
    if sys.platform == "linux":
        number = os.memfd_create("photo")
    else:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    opened.callback(os.close, number)
    return number


def _write(file: int, data: bytes) -> None:
    os.ftruncate(file, len(data))
    rest = memoryview(data)
    while rest:
        rest = rest[os.pwrite(file, rest, len(data) - len(rest)) :]
