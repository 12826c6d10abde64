"""A process that reads one source for the process that started it.

`python -m petsearch.sources.reader.child NICENESS SOCKET`, with the number of a descriptor. The
kernel ends it where an entry takes more processor time than allowed, and refuses it memory beyond
its limit. It has no file: it asks its parent for the bytes that it needs of one. It ends by itself
when its parent is gone.
"""

import contextlib
import io
import sys
import traceback
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO, cast

from petsearch.confined import data_bytes, limit_memory, limit_time, settle
from petsearch.domain import LeftOut
from petsearch.domain.errors import PetsearchError
from petsearch.process_tuning import return_freed_memory
from petsearch.sources.import_folders import ImportFolders
from petsearch.sources.manifest import ManifestSource
from petsearch.sources.reader import messages
from petsearch.sources.seekable_file import SeekableFile
from petsearch.sources.source import Source, SourceItem
from petsearch.sources.spec import DatasetSpec, ManifestSpec, parse_spec

_BUFFER_BYTES = 256 * 1024


def main() -> None:
    """Read what is ordered."""
    niceness, socket = (int(number) for number in sys.argv[1:])
    return_freed_memory()
    settle(niceness)
    parent = Connection(socket)
    with contextlib.suppress(EOFError, ConnectionError):  # the parent is gone
        order = messages.ORDER.validate_json(parent.recv_bytes(messages.MOST_BYTES))
        _send(parent, _read(parent, order))


def _read(parent: Connection, order: messages.Order) -> messages.End | messages.Failure:
    """Send all entries: this process's edge. Returns how it ended."""
    try:
        source = _source(parent, order)
        limit_memory(data_bytes() + order.most_bytes)
        limit_time(order.most_s)
        if order.counts:
            _send(parent, messages.Count(source.count()))
        for entry in source.read(order.cursor):
            _send_entry(parent, entry, order)
            limit_time(order.most_s)
        return messages.End()
    except PetsearchError as error:
        return messages.Failure(type(error).__name__, error.detail)
    except MemoryError:
        return messages.Failure(
            "TooLarge",
            f"Reading this source takes more than {order.most_bytes / 1e6:.0f} MB of memory, which "
            "is the most that is allowed; divide it into smaller ones.",
        )
    except Exception:
        return messages.Failure("RuntimeError", traceback.format_exc())
    finally:
        limit_memory(None)


def _source(parent: Connection, order: messages.Order) -> Source:
    match spec := parse_spec(order.spec):
        case DatasetSpec():
            with contextlib.suppress(ImportError):  # which the source reports
                import datasets  # noqa: F401  # its own memory is not that of its files
            from petsearch.sources.dataset import DatasetSource  # which other sources do not need

            folders = ImportFolders([Path(folder) for folder in order.import_dirs])
            return DatasetSource(spec.name, spec.options, folders.resolve)
        case ManifestSpec():
            return ManifestSource(lambda: _file(parent, order), spec.columns, order.folder)
        case _:
            raise NotImplementedError(spec.type)


def _send_entry(parent: Connection, entry: SourceItem | LeftOut, order: messages.Order) -> None:
    if isinstance(entry, LeftOut):
        _send(parent, messages.NoItem(entry))
        return
    if entry.data is None:
        _send(parent, messages.Item(entry, has_data=False))
        return
    data, without = entry.data, replace(entry, data=None)
    if len(data) > order.max_bytes:
        refusal = f"It is larger than {order.max_bytes / 1e6:.0f} MB."
        _send(parent, messages.Item(replace(without, refusal=refusal), has_data=False))
        return
    _send(parent, messages.Item(without, has_data=True))
    parent.send_bytes(data)


def _send(parent: Connection, reply: messages.Reply) -> None:
    parent.send_bytes(messages.REPLY.dump_json(reply))


def _file(parent: Connection, order: messages.Order) -> BinaryIO:
    assert order.file_bytes is not None, "the parent has it open"
    return cast(BinaryIO, io.BufferedReader(_AskedFile(parent, order.file_bytes), _BUFFER_BYTES))


class _AskedFile(SeekableFile):
    """The file that the parent has open. Each has a position of its own."""

    def __init__(self, parent: Connection, size: int) -> None:
        super().__init__(size)
        self._parent = parent

    def read_at(self, position: int, buffer: memoryview) -> int:
        _send(self._parent, messages.Wanted(position, len(buffer)))
        return self._parent.recv_bytes_into(buffer)


if __name__ == "__main__":
    main()
