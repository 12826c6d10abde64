"""A child process that reads a source, from its parent's side."""

import signal
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace
from multiprocessing import Pipe
from typing import BinaryIO

from petsearch.confined import start_child
from petsearch.domain import LeftOut
from petsearch.domain.errors import (
    ConfigurationError,
    InvalidInput,
    NotFound,
    ReaderLost,
    SourceUnavailable,
    TooLarge,
    Unavailable,
)
from petsearch.sources.reader import messages
from petsearch.sources.source import SourceItem, disk_errors

READER_BYTES = 384_000_000
"""Of memory, of one process, over what it takes before it reads."""
_NICENESS = 10
_STALL_FACTOR = 20
"""How many times the allowed processor time an entry may take, on a machine that is busy."""
_END_S = 5.0
_ERRORS = (ConfigurationError, InvalidInput, NotFound, SourceUnavailable, TooLarge, Unavailable)
_BY_NAME = {error.__name__: error for error in _ERRORS}
# Without what the library `datasets` would load beside it, if it is there.
_ENVIRONMENT = {
    "USE_TORCH": "0",
    "USE_TF": "0",
    "USE_JAX": "0",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


class Readers:
    """The processes that read sources now. Thread-safe.

    Args:
        most: of them. Each may take `READER_BYTES`; one more ends the one that was read from
            longest ago, whose job starts another one when it goes on.
    """

    def __init__(self, most: int = 3) -> None:
        self._most = most
        self._changing = threading.Lock()
        self._open: list[_Reader] = []

    @property
    def process_ids(self) -> set[int]:
        """Of the processes that there are now."""
        with self._changing:
            return {reader.pid for reader in self._open}

    def read(
        self, order: messages.Order, file: BinaryIO | None
    ) -> Generator[SourceItem | LeftOut | messages.Count]:
        """The entries of a source, after their number if that is ordered.

        Raises:
            InvalidInput: it cannot be read, or takes more memory or time than allowed.
            NotFound, ConfigurationError, Unavailable: see `Source.read`.
            ReaderLost: its process was ended from outside.
        """
        reader = _Reader()
        try:
            self._use(reader)
            for reply in reader.replies(order, file):
                yield reply
                self._use(reader)
        finally:
            with self._changing:
                if reader in self._open:
                    self._open.remove(reader)
            reader.close()

    def _use(self, reader: "_Reader") -> None:
        """Note that it is used now, unless it has been ended."""
        with self._changing:
            if reader in self._open:
                self._open.remove(reader)
            elif reader.is_given_up:
                return
            self._open.append(reader)
            given_up = self._open.pop(0) if len(self._open) > self._most else None
        if given_up is not None:
            given_up.give_up()


class _Reader:
    """A process; for one thread at a time, but for `give_up`."""

    def __init__(self) -> None:
        self._socket, socket = Pipe()
        number = socket.fileno()
        self.is_given_up = False
        try:
            self._process = start_child(
                "petsearch.sources.reader.child",
                (_NICENESS, number),
                files=(number,),
                **_ENVIRONMENT,
            )
        except OSError as error:
            self._socket.close()
            raise Unavailable(f"No process can be started: {error.strerror}.") from error
        finally:
            socket.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def give_up(self) -> None:
        """End it, for another one. Any thread may call this."""
        self.is_given_up = True
        self._process.kill()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def replies(
        self, order: messages.Order, file: BinaryIO | None
    ) -> Iterator[SourceItem | LeftOut | messages.Count]:
        """See `Readers.read`."""
        try:
            self._socket.send_bytes(messages.ORDER.dump_json(order))
            while not isinstance(reply := self._reply(order), messages.End):
                if isinstance(reply, messages.Wanted):
                    assert file is not None, "it has no file to ask for"
                    self._socket.send_bytes(_bytes_of(file, reply))
                elif isinstance(reply, messages.Failure):
                    raise _BY_NAME.get(reply.error, RuntimeError)(reply.detail)
                elif isinstance(reply, messages.NoItem):
                    yield reply.left_out
                elif isinstance(reply, messages.Count):
                    yield reply
                else:
                    yield self._with_data(reply, order)
        except (EOFError, ConnectionError):
            raise self._death(order) from None

    def _reply(self, order: messages.Order) -> messages.Reply:
        most_s = _STALL_FACTOR * order.most_s
        if not self._socket.poll(most_s):
            raise ReaderLost(f"Reading the source did not go on within {most_s:g} s.")
        return messages.REPLY.validate_json(self._socket.recv_bytes(messages.MOST_BYTES))

    def _with_data(self, reply: messages.Item, order: messages.Order) -> SourceItem:
        if not reply.has_data:
            return reply.item
        return replace(reply.item, data=self._socket.recv_bytes(order.max_bytes))

    def _death(self, order: messages.Order) -> Exception:
        """Why it ended before the source did."""
        code = self._process.wait(_END_S)
        if self.is_given_up:
            return SourceUnavailable("Other sources are read first.", retry_after_s=0.0)
        if code == -signal.SIGPROF:
            return InvalidInput(
                f"Reading on in this source takes more than {order.most_s:.0f} s of processor "
                "time, which is the most that is allowed for one of its size."
            )
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            return ReaderLost("The process that read the source was killed, as without memory.")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return InvalidInput(f"Reading this source crashed its reader ({name}).")


def _bytes_of(file: BinaryIO, wanted: messages.Wanted) -> bytes:
    with disk_errors("The manifest"):
        file.seek(wanted.wanted_at)
        return file.read(wanted.size)
