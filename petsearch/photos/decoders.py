"""Decodes photos in child processes, so that a bad file costs itself and nothing else.

The kernel limits each child's memory and processor time (`child`). What a codec does beyond that
ends the child, which is the outcome of its photo; the next photo gets a new one. See ADR 44.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

from petsearch.domain import ItemWarning, Pixels, PixelSpec, deadline
from petsearch.domain.capture import Capture
from petsearch.domain.errors import NotAnImage, Overloaded, PetsearchError, TooLarge, Unavailable
from petsearch.photos import child_messages as messages
from petsearch.photos.child_process import PART, ChildProcess
from petsearch.photos.copies import DISPLAY_SIDE, Copies
from petsearch.photos.decode_memory import Budget, file_bytes
from petsearch.photos.opening import Encoded, ImageLimits, check_size

_RETRY_AFTER_S = 2.0
_LONG_S = 3600.0


@dataclass(frozen=True)
class DecodedPhoto:
    """What a file declares of its picture, and the copies that people see."""

    width: int
    """Of the original when upright, in pixels."""
    height: int
    content_type: str
    warnings: tuple[ItemWarning, ...]
    capture: Capture
    copies: Copies


class Decoders:
    """Child processes that decode photos, started when they are needed. Thread-safe.

    Args:
        limits: of each photo, and of the memory of all together.
        processes: photos decoded at a time.
        most_waiting: callers that may wait for a process; more are refused. None: any number.
        niceness: of the processes. Bulk work gives way to a model on the same cores, like threads
            of `process_tuning.lower_thread_priority`.
        before_each: called before each photo, and may wait.
    """

    def __init__(
        self,
        limits: ImageLimits,
        *,
        processes: int,
        most_waiting: int | None = None,
        niceness: int = 10,
        before_each: Callable[[], None] = lambda: None,
    ) -> None:
        self.limits = limits
        self.processes = processes
        self._most_waiting = most_waiting
        self._niceness = niceness
        self._before_each = before_each
        self._memory = Budget(limits.max_decode_bytes)
        self._changed = threading.Condition()
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._free = processes
        self._waiting = 0
        self._is_closed = False

    def start(self) -> None:
        """Start a process now, which takes about half a second: the first photo need not wait."""
        with self._changed:
            if not self._idle and not self._is_closed:
                self._idle.append(ChildProcess(self._niceness))

    @property
    def process_ids(self) -> set[int]:
        """Of the processes that there are now."""
        with self._changed:
            return {child.pid for child in (*self._idle, *self._busy)}

    def close(self) -> None:
        """End all processes, busy ones included."""
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            children = [*idle, *self._busy]
            self._changed.notify_all()
        for child in children:
            child.kill()
        for child in idle:
            child.close()

    def pixels(self, data: Encoded, spec: PixelSpec, *, at_least: int = DISPLAY_SIDE) -> Pixels:
        """The pixels `(3, height, width)` that a model reads of an encoded picture.

        Args:
            data: see `decode.decode`.
            spec: of the model.
            at_least: see `decode.decode`.

        Raises:
            TooLarge: it has more bytes or pixels, or takes more memory or time, than allowed.
            NotAnImage: it is no picture that can be decoded, or crashes its decoder.
            Overloaded: too many wait.
            Unavailable: no process can be started, or it was ended from outside.
        """
        _, (pixels,) = self._run(data, _wanted(data, self.limits, at_least, spec, None))
        return _array(pixels, spec)

    def copies(self, data: Encoded) -> DecodedPhoto:
        """What a file declares and the copies that people see; raises like `pixels`."""
        answer, parts = self._run(
            data, _wanted(data, self.limits, DISPLAY_SIDE, None, DISPLAY_SIDE)
        )
        return _photo(answer, parts)

    def pixels_and_copies(
        self, data: Encoded, spec: PixelSpec, *, display_side: int = DISPLAY_SIDE
    ) -> tuple[Pixels, DecodedPhoto]:
        """Both, decoded once; raises like `pixels`.

        Args:
            display_side: the most pixels a side of the display copy.
        """
        order = _wanted(data, self.limits, display_side, spec, display_side)
        answer, (pixels, *parts) = self._run(data, order)
        return _array(pixels, spec), _photo(answer, parts)

    def _run(self, data: Encoded, order: messages.Order) -> tuple[messages.Answer, Sequence[bytes]]:
        check_size(order.size, self.limits)
        self._before_each()
        with self._child() as child, ExitStack() as held:
            child.give(data, order)
            reply = self._replied(child, file_bytes(order.size), held)
            if isinstance(reply, messages.Answer):
                return reply, child.made(reply, order)
        raise _error_of(reply)

    def _replied(
        self, child: ChildProcess, file_bytes: int, held: ExitStack
    ) -> messages.Answer | messages.Refusal:
        """The last reply of a child; the memory that it asks for is spent until `held` ends."""
        while isinstance(reply := child.reply(self.limits), messages.Needs):
            # At once, never a part while the other is waited for: two could wait for each other.
            held.close()
            held.enter_context(self._memory.spend(reply.needs_bytes + file_bytes))
            child.grant()
        return reply

    @contextmanager
    def _child(self) -> Iterator[ChildProcess]:
        child, is_good = self._taken(), False
        try:
            yield child
            is_good = True
        except PetsearchError:
            if self._is_closed:
                raise _stopping() from None
            raise
        finally:
            with self._changed:
                self._busy.discard(child)
                self._free += 1
                is_good = is_good and not self._is_closed
                if is_good:
                    self._idle.append(child)
                self._changed.notify()
            if not is_good:
                child.close()

    def _taken(self) -> ChildProcess:
        with self._changed:
            self._wait_for_a_place()
            try:
                child = self._idle_child() or ChildProcess(self._niceness)
            except BaseException as error:
                self._free += 1
                self._changed.notify()
                if isinstance(error, OSError):
                    raise Unavailable(f"No process can be started: {error.strerror}.") from error
                raise
            self._busy.add(child)
        return child

    def _idle_child(self) -> ChildProcess | None:
        while self._idle:
            child = self._idle.pop()
            if child.is_alive:
                return child
            child.close()
        return None

    def _wait_for_a_place(self) -> None:
        if not self._free and self._waiting == self._most_waiting:
            raise Overloaded(
                "Too many photos are being decoded at the moment; try again soon.",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._waiting += 1
        try:
            most_s = deadline.left_s(_LONG_S)
            found = self._changed.wait_for(lambda: self._free or self._is_closed, most_s)
        finally:
            self._waiting -= 1
        if not found:
            deadline.check(PART)
            raise Unavailable("No process for decoding the photo became free.")
        if self._is_closed:
            raise _stopping()
        self._free -= 1


def _stopping() -> Unavailable:
    return Unavailable("The server is stopping.")


def _error_of(refusal: messages.Refusal) -> Exception:
    if refusal.because == "too_large":
        return TooLarge(refusal.detail)
    if refusal.because == "not_an_image":
        return NotAnImage(refusal.detail)
    return RuntimeError(refusal.detail)


def _wanted(
    data: Encoded,
    limits: ImageLimits,
    at_least: int,
    spec: PixelSpec | None,
    display_side: int | None,
) -> messages.Order:
    size = len(data) if isinstance(data, bytes) else os.fstat(data.fileno()).st_size
    return messages.Order(size, not isinstance(data, bytes), limits, at_least, spec, display_side)


def _array(pixels: bytes, spec: PixelSpec) -> Pixels:
    return np.frombuffer(pixels, np.uint8).reshape(3, spec.height, spec.width)


def _photo(answer: messages.Answer, parts: Sequence[bytes]) -> DecodedPhoto:
    return DecodedPhoto(
        answer.width,
        answer.height,
        answer.content_type,
        answer.warnings,
        answer.capture,
        Copies(*parts),
    )
