"""A source that a child process reads."""

import io
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from typing import BinaryIO

from petsearch.domain import LeftOut
from petsearch.sources.reader import messages
from petsearch.sources.reader.process import READER_BYTES, Readers
from petsearch.sources.source import Source, SourceItem, disk_errors
from petsearch.sources.spec import DatasetSpec, ManifestSpec

_LEAST_S = 3.0
_S_PER_MB = 4.0
_DATASET_S = 60.0
"""Its files are not measured: a row may be the first of a large group."""


@dataclass(frozen=True)
class ConfinedSource(Source):
    """The `Source` of a manifest or a data set, behind limits of the kernel."""

    readers: Readers
    spec: DatasetSpec | ManifestSpec
    open_file: Callable[[], BinaryIO] | None
    """Opens the manifest as a seekable stream; None for a data set."""
    max_bytes: int
    """The size limit of a photo."""
    import_dirs: tuple[str, ...] = ()
    folder: str | None = None
    """See `ManifestSource.folder`."""
    _counted: list[Iterator[SourceItem | LeftOut | messages.Count]] = field(
        default_factory=list, init=False, compare=False
    )
    """What is read by the process that counted: starting another one takes a second."""

    def read(self, cursor: str | None) -> Iterator[SourceItem | LeftOut]:
        """See `Source.read`; also raises `ReaderLost` if its process was ended from outside."""
        begun = self._counted.pop() if self._counted and cursor is None else None
        for entry in begun or self._replies(cursor, counts=False):
            assert not isinstance(entry, messages.Count), "it comes first"
            yield entry

    def count(self) -> int | None:
        if isinstance(self.spec, ManifestSpec):
            return None
        replies = self._replies(None, counts=True)
        count = next(replies)
        assert isinstance(count, messages.Count), "it comes first"
        self._counted.append(replies)
        return count.count

    def _replies(
        self, cursor: str | None, *, counts: bool
    ) -> Iterator[SourceItem | LeftOut | messages.Count]:
        with (
            disk_errors("The manifest"),
            self.open_file() if self.open_file else nullcontext() as file,
        ):
            size = file.seek(0, io.SEEK_END) if file else None
            order = messages.Order(
                self.spec.model_dump_json(),
                cursor,
                counts,
                size,
                self.folder,
                self.import_dirs,
                self.max_bytes,
                READER_BYTES,
                _DATASET_S if size is None else _LEAST_S + _S_PER_MB * size / 1e6,
            )
            with closing(self.readers.read(order, file)) as replies:
                yield from replies
