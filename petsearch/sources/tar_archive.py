"""Reads the photos of a tar file, plain or compressed by gzip, bzip2 or xz, as a stream."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, BinaryIO, cast

from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput, is_damage
from petsearch.domain.metadata import LONGEST_PATH, named_metadata
from petsearch.sources import cursor
from petsearch.sources.archive_limits import SUSPICIOUS, ArchiveLimits, refused_rest
from petsearch.sources.names import HEAD_BYTES, NESTED_ARCHIVE, kind_of, reason_by_content
from petsearch.sources.sidecars import MOST_BYTES, MOST_ENTRIES, Sidecars
from petsearch.sources.source import SourceItem

_XZ = b"\xfd7zXZ\x00"
_BLOCK = 512
_STEP_BYTES = 1024 * 1024
_SIDECAR_BYTES = 64 * 1024 * 1024
"""Of all sidecars together, which are held in memory."""
_UNPACKED_BYTES = 4096
_PACKED_BYTES = 16 * 1024
_XZ_MEMORY_BYTES = 128 * 1024 * 1024
"""The largest xz dictionary; `xz -9` needs 65 MB."""
_MOST_END_BLOCKS = 4096
"""Of zeros that are read over at the end of an archive: another may follow, as after `cat`."""
_HEADER_BYTES = 1024 * 1024
"""Of all headers of one entry: they hold names, which are short, and attributes."""
_PAX = (b"x", b"g", b"X")
_ABOUT_THE_NEXT = (*_PAX, b"L", b"K")
"""Types of headers whose content is about the entry after them: pax records and long names."""
_MOST_DIGITS = 100
"""In a row in pax records: before Python 3.11.10 tarfile needs their number squared."""
_DIGITS_AS_0 = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x31 for byte in range(256))
# Raised on broken bytes. RecursionError: tarfile follows headers that announce headers.
_BROKEN = (
    tarfile.TarError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    ValueError,
    OverflowError,
    RecursionError,
)
_NO_TAR = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error)


class _Bomb(Exception):
    """The stream is a decompression bomb, or exceeds a limit. Not raised outside this module."""


def is_tar(head: bytes) -> bool:
    """Whether a file that begins with `head` (512 bytes) is a tar file, compressed or not."""
    if head.startswith((b"\x1f\x8b", b"BZh", _XZ)):
        return True
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "replace")
    except tarfile.HeaderError:
        return len(head) >= _BLOCK and not any(head[:_BLOCK])
    return True


def read_tar(file: BinaryIO, limits: ArchiveLimits, after: str) -> Iterator[SourceItem | LeftOut]:
    """Iterate over the items after the cursor `after` ("" for all).

    The cursor has the entries read and the offset in the unpacked bytes: a plain file resumes at
    no cost, a compressed one is decompressed again up to there.

    Raises:
        InvalidInput: the compressed file does not contain a tar file.
    """
    index, offset = cursor.unpack(after, 2) if after else (0, 0)
    try:
        archive = _open_at(_TarStream(file, limits), offset)
        while (entry := _next_entry(archive)) is not None:
            if index >= limits.entries:
                yield refused_rest(limits.too_many_entries, index)
                return
            if not entry.isdir():
                yield _entry_of(archive, entry, limits, index)
            index += 1
    except _Bomb as error:
        yield refused_rest(str(error), index)
    except _BROKEN as error:
        if index == 0 and offset == 0 and isinstance(error, _NO_TAR):
            raise InvalidInput("The file is not a readable tar archive.") from error
        yield refused_rest("it is broken or cut off there.", index)


def tar_sidecars(file: BinaryIO, limits: ArchiveLimits) -> Sidecars:
    """The sidecars in a tar file, which may come after their photos: found by an extra pass.

    A plain file is skipped over, a compressed one is decompressed once more.
    """
    names: list[str] = []
    contents: dict[str, bytes] = {}
    room = _SIDECAR_BYTES
    with suppress(_Bomb, *_BROKEN):
        archive = _open_at(_TarStream(file, limits), 0)
        while (entry := _next_entry(archive)) is not None and len(names) < MOST_ENTRIES:
            name = _path_of(entry)
            names.append(name)
            is_sidecar = kind_of(name).left_out is LeftOutReason.SIDECAR
            if is_sidecar and entry.isreg() and entry.size <= min(MOST_BYTES, room):
                room -= entry.size
                contents[name] = cast(IO[bytes], archive.extractfile(entry)).read()
    return Sidecars(lambda: names, lambda name: contents.get(name, b""))


def _open_at(stream: "_TarStream", offset: int) -> tarfile.TarFile:
    # One less: `_next_entry` checks that the byte before the next header exists.
    stream.advance(max(0, offset - 1))
    # Opened on an empty file: the constructor reads a header and takes a broken one for the end.
    archive = tarfile.TarFile(fileobj=io.BytesIO(bytes(2 * _BLOCK)), encoding="utf-8")
    archive.errors = "replace"
    archive.fileobj = cast(IO[bytes], stream)
    archive.offset = offset
    return archive


def _next_entry(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next entry, or None at the end.

    `TarFile.next` keeps all entries in memory, and takes a broken header for the end.

    Raises:
        tarfile.TarError: the header is broken, or the file is truncated.
    """
    stream = cast(_TarStream, archive.fileobj)
    start = archive.offset
    if start > 0 and stream.tell() < start:
        stream.advance(start - 1)
        if not stream.read(1):
            raise tarfile.ReadError("cut off")
    try:
        for _ in range(_MOST_END_BLOCKS):
            with suppress(tarfile.EOFHeaderError):  # type: ignore[attr-defined]  # unknown to typeshed
                return _entry_at(archive, stream)
            archive.offset += _BLOCK
    except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]  # unknown to typeshed
        return None
    except tarfile.TarError:
        # What is behind the end and no header was not written by tar.
        if archive.offset == start or stream.tell() > archive.offset + _BLOCK:
            raise
    return None


def _entry_at(archive: tarfile.TarFile, stream: "_TarStream") -> tarfile.TarInfo:
    """The entry whose headers begin here."""
    start = archive.offset
    # A resumed read has not seen the global records before its offset.
    archive.pax_headers = {}
    with stream.reading_headers():
        entry = tarfile.TarInfo.fromtarfile(archive)
    if archive.offset <= start:
        raise tarfile.ReadError("an entry that ends before it begins")
    return entry


def _entry_of(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, limits: ArchiveLimits, index: int
) -> SourceItem | LeftOut:
    name = _path_of(entry)
    kind = kind_of(name)
    if kind.left_out is not None:
        return LeftOut(name, kind.left_out)
    refusal = NESTED_ARCHIVE if kind.is_archive else _refusal(entry, limits)
    data = None
    if refusal is None:
        opened = archive.extractfile(entry)
        assert opened is not None, "it is a regular file"
        head = opened.read(HEAD_BYTES)
        reason = None if kind.is_known else reason_by_content(head)
        if reason is not None:
            return LeftOut(name, reason)
        data = head + opened.read(entry.size)
    elif not kind.is_known and not kind.is_archive:
        is_file = entry.isreg() and not entry.issparse()
        return LeftOut(name, LeftOutReason.NOT_A_PHOTO if is_file else LeftOutReason.SPECIAL)
    return SourceItem(
        named_metadata(name),
        cursor.pack(index + 1, archive.offset),
        data=data,
        size_bytes=entry.size,
        refusal=refusal,
    )


def _path_of(entry: tarfile.TarInfo) -> str:
    """The end of an entry's name, which can be as long as its header.

    A backslash behind bytes that are no UTF-8 can be half of a character: it separates nothing.
    """
    return entry.name[-LONGEST_PATH:].replace("\ufffd\\", "\ufffd_")


def _refusal(entry: tarfile.TarInfo, limits: ArchiveLimits) -> str | None:
    if not entry.isreg() or entry.issparse():
        return "It is a link, a device or a sparse file, not a photo."
    if entry.size > limits.entry_bytes:
        return limits.entry_too_large
    return None


class _TarStream:
    """The stream that `tarfile` reads: forward only, in bounded pieces, checked for bombs."""

    def __init__(self, file: BinaryIO, limits: ArchiveLimits) -> None:
        self._packed = file
        self._limits = limits
        self._position = 0
        file.seek(0)
        head = file.read(6)
        file.seek(0)
        self._unpacked = _unpacker(file, head)
        self._block = memoryview(b"")
        self._header_room: int | None = None
        """While headers are read: how many more bytes of them may come."""
        self._header_type = b""

    @contextmanager
    def reading_headers(self) -> Iterator[None]:
        """Bound and check the headers of one entry, which tarfile keeps whole in memory."""
        self._header_room, self._header_type = _HEADER_BYTES, b""
        try:
            yield
        finally:
            self._header_room = None

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        """Seek forward."""
        self.advance(position)

    def read(self, size: int) -> bytes:
        # A header may announce gigabytes of names, which tarfile would read at once.
        room = self._header_room
        most = self._limits.entry_bytes + _STEP_BYTES if room is None else room
        if not 0 <= size <= most:
            raise tarfile.ReadError("a header that is too large")
        self._check()
        data = self._read(size)
        self._position += len(data)
        if room is not None:
            self._header_room = room - size
            self._check_header(data)
        return data

    def _check_header(self, data: bytes) -> None:
        """Check the content of a pax header, which comes after the block with its type."""
        announced, self._header_type = self._header_type, b""
        if announced in _PAX:
            _check_pax(data)
        elif not announced and data[156:157] in _ABOUT_THE_NEXT:
            self._header_type = data[156:157]

    def _read(self, size: int) -> bytes:
        if self._unpacked is self._packed:
            return self._packed.read(size)
        data = bytearray()
        while len(data) < size:
            if not self._block:
                self._block = memoryview(self._unpack_block())
            if not self._block:
                break
            taken = self._block[: size - len(data)]
            data += taken
            self._block = self._block[len(taken) :]
        return bytes(data)

    def _unpack_block(self) -> bytes:
        """Unpack a block of fixed size, so that a resumed read finds damage at the same offset."""
        try:
            return self._unpacked.read(_UNPACKED_BYTES)
        except OSError as error:
            if is_damage(error):
                raise tarfile.ReadError(str(error)) from error
            raise

    def advance(self, position: int) -> None:
        """Advance to `position`, or to the end of the file if it comes first.

        Raises:
            _Bomb: too many bytes would be unpacked.
        """
        if position < self._position:
            raise tarfile.ReadError("an entry that points back")
        self._check(position)
        if self._unpacked is self._packed:
            self._position = self._packed.seek(position)
        while self._position < position:
            if not self.read(min(_STEP_BYTES, position - self._position)):
                return

    def _check(self, position: int | None = None) -> None:
        wanted = self._position if position is None else position
        if wanted > self._limits.total_bytes:
            raise _Bomb(self._limits.total_too_large)
        if self._limits.is_suspicious(self._position, self._packed.tell()):
            raise _Bomb(SUSPICIOUS)


def _unpacker(file: BinaryIO, head: bytes) -> BinaryIO:
    if head.startswith(b"\x1f\x8b"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        return cast(BinaryIO, bz2.BZ2File(file))
    if head.startswith(_XZ):
        return cast(BinaryIO, _XzFile(file))
    return file


def _check_pax(data: bytes) -> None:
    """Check that records follow each other, `<length> <name>=<value>` and a line end.

    Before Python 3.11.10 tarfile takes records that overlap, and keeps megabytes for each byte.

    Raises:
        tarfile.ReadError: they do not.
    """
    if data.translate(_DIGITS_AS_0).find(b"0" * _MOST_DIGITS) >= 0:
        raise tarfile.ReadError("a number that is too long")
    records = memoryview(data.rstrip(b"\0"))
    while records:
        length, space, _ = bytes(records[:20]).partition(b" ")
        if not (space and length.isdigit() and len(length) + 3 < int(length) <= len(records)):
            raise tarfile.ReadError("a record of the wrong length")
        if b"=" not in bytes(records[: int(length)]):
            raise tarfile.ReadError("a record without a value")
        records = records[int(length) :]


class _XzFile:
    """Unpacks an xz file with a bounded dictionary; each block of it may declare gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._unpacker = self._new()
        self._packed = b""

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none only at the end.

        Raises:
            lzma.LZMAError, EOFError: the file is broken, truncated, or needs too much memory.
        """
        while True:
            if self._unpacker.eof and not self._begin_next():
                return b""
            if self._unpacker.needs_input and not self._packed:
                self._packed = self._file.read(_PACKED_BYTES)
                if not self._packed:
                    raise EOFError("cut off")
            data = self._unpacker.decompress(self._packed, size)
            self._packed = b""
            if data:
                return data

    def _begin_next(self) -> bool:
        """Begin the stream after this one, if there is one; zeros may be between them.

        Anything else behind it is ignored, as by gzip and bzip2.
        """
        rest = self._unpacker.unused_data
        while not (rest := rest.lstrip(b"\0")):
            if not (rest := self._file.read(_PACKED_BYTES)):
                return False
        if len(rest) < len(_XZ):
            rest += self._file.read(_PACKED_BYTES)
        if not rest.startswith(_XZ):
            return False
        self._unpacker, self._packed = self._new(), rest
        return True
