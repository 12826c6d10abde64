"""Files that do harm to careless readers, made from the grammars of what petsearch reads.

`hostile_files` makes the same ones for a seed. `python -m tests.hostile_files` sends them to a
server (`make hostile`).
"""

import bz2
import gzip
import lzma
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from tests.hostile_files import archives, boxes, pictures, tables, workbooks
from tests.hostile_files.grammar import Sample, Variant, variants

_PHOTO, _ARCHIVE, _TABLE = "photo", "archive", "table"


@dataclass(frozen=True)
class HostileFile:
    """A file, and what it claims to be."""

    kind: str
    """Such as JPEG."""
    family: str
    """`photo`, `archive` or `table`."""
    name: str
    """What is wrong with it."""
    data: bytes

    @property
    def filename(self) -> str:
        """As whoever sends it would call it."""
        return f"hostile.{self.kind.lower()}"


@dataclass(frozen=True)
class _Kind:
    family: str
    count: int
    hard: tuple[Callable[[], Iterator[Variant]], ...]
    sample: Callable[[], Sample] | None = None


_KINDS = {
    "JPEG": _Kind(_PHOTO, 22, (pictures.hard_jpegs,), pictures.jpeg),
    "PNG": _Kind(_PHOTO, 20, (pictures.hard_pngs,), pictures.png),
    "WebP": _Kind(_PHOTO, 15, (pictures.hard_webps,), pictures.webp),
    "GIF": _Kind(_PHOTO, 15, (pictures.hard_gifs,), pictures.gif),
    "TIFF": _Kind(_PHOTO, 20, (pictures.hard_tiffs,), pictures.tiff),
    "BMP": _Kind(_PHOTO, 12, (pictures.hard_bmps,), pictures.bmp),
    "HEIC": _Kind(_PHOTO, 14, (boxes.hard_heics,), boxes.heic),
    "AVIF": _Kind(_PHOTO, 10, (boxes.hard_avifs,), boxes.avif),
    "zip": _Kind(_ARCHIVE, 22, (archives.hard_zips,), archives.zip_file),
    "tar": _Kind(_ARCHIVE, 14, (archives.hard_tars,), archives.tar_file),
    "gz": _Kind(_ARCHIVE, 8, (lambda: archives.hard_packed(gzip.compress),), archives.gz_file),
    "bz2": _Kind(_ARCHIVE, 8, (lambda: archives.hard_packed(bz2.compress),), archives.bz2_file),
    "xz": _Kind(
        _ARCHIVE,
        10,
        (archives.hard_xzs, lambda: archives.hard_packed(lzma.compress)),
        archives.xz_file,
    ),
    "CSV": _Kind(_TABLE, 16, (tables.csvs,)),
    "JSONL": _Kind(_TABLE, 14, (tables.jsonls,)),
    "XLSX": _Kind(_TABLE, 13, (workbooks.xlsxs,)),
    "parquet": _Kind(_TABLE, 13, (tables.hard_parquets,), tables.parquet),
}


KINDS = tuple(_KINDS)


def hostile_files(seed: int = 0) -> Iterator[HostileFile]:
    """More than 200 files; those of the grammars are others for another seed."""
    for kind, made in _KINDS.items():
        rng = random.Random(f"{seed} {kind}")
        found = list(chain.from_iterable(each() for each in made.hard))
        if made.sample is not None:
            found += variants(made.sample(), made.count - len(found), rng)
        for name, data in found:
            yield HostileFile(kind, made.family, name, data)


def light_files(seed: int = 0, each: int = 3) -> Iterator[HostileFile]:
    """A few of each kind, of the grammars alone: quickly made and read."""
    for kind, made in _KINDS.items():
        rng = random.Random(f"{seed} {kind}")
        sample = made.sample
        found = variants(sample(), each, rng) if sample else list(made.hard[0]())[:each]
        for name, data in found:
            yield HostileFile(kind, made.family, name, data)
