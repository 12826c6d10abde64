"""A process that decodes photos, one at a time, for the process that started it.

`python -m petsearch.photos.child NICENESS SOCKET INPUT OUTPUT`, with the numbers of three
descriptors; see `decoders`. The kernel ends it where a file takes more processor time than allowed,
and refuses it memory beyond what the file's header leads to expect. It ends by itself when its
parent is gone.
"""

import contextlib
import gc
import os
import sys
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle

import pillow_heif
from PIL import AvifImagePlugin, Image

from petsearch.confined import data_bytes, limit_memory, limit_time, settle
from petsearch.domain.errors import InvalidInput, TooLarge
from petsearch.photos import child_messages as messages
from petsearch.photos.copies import copies_of
from petsearch.photos.decode import DecodedImage, decode
from petsearch.photos.decode_memory import FREE_BYTES, SPARE_BYTES, file_bytes
from petsearch.photos.opening import Encoded, register_formats
from petsearch.photos.preprocessing import to_pixels
from petsearch.process_tuning import return_freed_memory


def main() -> None:
    """Decode what is ordered until the parent closes the socket."""
    niceness, socket, given, made = (int(number) for number in sys.argv[1:])
    _settle(niceness)
    parent = Connection(socket)
    with contextlib.suppress(EOFError, ConnectionError):  # the parent is gone
        parent.send_bytes(messages.READY)
        while True:
            order = messages.ORDER.validate_json(parent.recv_bytes(messages.MOST_BYTES))
            reply = _reply(parent, order, given, made)
            if isinstance(reply, messages.Refusal):
                gc.collect()  # errors refer to the frames that they passed, with their pixels
            parent.send_bytes(messages.REPLY.dump_json(reply))


def _settle(niceness: int) -> None:
    return_freed_memory()
    register_formats()
    # There are more of these processes than cores; threads' stacks would count as memory.
    pillow_heif.options.DECODE_THREADS = 1
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    Image.init()
    gc.freeze()
    settle(niceness)


def _reply(parent: Connection, order: messages.Order, given: int, made: int) -> messages.Reply:
    """What becomes of one file: this process's edge."""
    limit_time(order.limits.max_decode_s)
    try:
        with contextlib.ExitStack() as opened:
            data = _encoded(parent, order, given, opened)
            limit = _MemoryLimit(parent, order.size)
            image = decode(data, order.limits, at_least=order.at_least, reserve=limit.reserve)
            return _written(image, made, order)
    except TooLarge as error:
        return messages.Refusal("too_large", error.detail)
    except InvalidInput as error:
        return messages.Refusal("not_an_image", error.detail)
    except MemoryError:
        return messages.Refusal("too_large", "Decoding it takes more memory than is allowed.")
    except Exception as error:
        return messages.Refusal("failed", f"{type(error).__name__}: {error}")
    finally:
        limit_time(0)
        limit_memory(None)


def _encoded(
    parent: Connection, order: messages.Order, given: int, opened: contextlib.ExitStack
) -> Encoded:
    if order.sends_file:
        return opened.enter_context(os.fdopen(recv_handle(parent), "rb"))
    if order.size > messages.LARGE_BYTES:
        return opened.enter_context(os.fdopen(os.dup(given), "rb"))
    return os.pread(given, order.size, 0)


class _MemoryLimit:
    """Lets a file take what its header leads to expect, and something to spare."""

    def __init__(self, parent: Connection, size: int) -> None:
        self._parent = parent
        self._granted = FREE_BYTES
        self._file_bytes = file_bytes(size)
        self._before = data_bytes() + self._file_bytes
        limit_memory(self._before + SPARE_BYTES)

    def reserve(self, needed: int) -> None:
        """Wait until the parent has room for `needed` bytes; the kernel grants no more."""
        if needed + self._file_bytes > self._granted:
            self._parent.send_bytes(messages.REPLY.dump_json(messages.Needs(needed)))
            self._parent.recv_bytes(len(messages.GRANTED))
            self._granted = needed + self._file_bytes
        limit_memory(self._before + needed + SPARE_BYTES)


def _written(image: DecodedImage, made: int, order: messages.Order) -> messages.Answer:
    """Write what is wanted of the picture to the shared file."""
    parts = []
    if order.pixels is not None:
        parts.append(to_pixels(image.picture, order.pixels).tobytes())
    if order.display_side is not None:
        copies = copies_of(image.picture, order.display_side)
        parts += [copies.display, copies.thumbnail, copies.grey]
    at = 0
    for part in parts:
        at += os.pwrite(made, part, at)
    return messages.Answer(
        image.width,
        image.height,
        image.content_type,
        image.warnings,
        image.capture,
        tuple(map(len, parts)),
    )


if __name__ == "__main__":
    main()
