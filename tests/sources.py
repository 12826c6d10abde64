"""Reads sources in tests."""

from petsearch.domain import LeftOut
from petsearch.sources import Source, SourceItem


def items_of(source: Source, cursor: str | None = None) -> list[SourceItem]:
    """The photos of a source after `cursor`, without what it leaves out."""
    return [entry for entry in source.read(cursor) if isinstance(entry, SourceItem)]


def left_out_of(source: Source, cursor: str | None = None) -> list[LeftOut]:
    """What a source leaves out after `cursor`."""
    return [entry for entry in source.read(cursor) if isinstance(entry, LeftOut)]
