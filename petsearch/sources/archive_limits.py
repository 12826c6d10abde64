"""Limits for archives, and the refusals of what exceeds them."""

from dataclasses import dataclass

from petsearch.domain import ImageMetadata
from petsearch.sources import cursor
from petsearch.sources.source import SourceItem

_MEBI = 1024 * 1024


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may declare and contain; an entry is refused, or reading stops, above it."""

    entry_bytes: int = 50 * _MEBI
    """Unpacked bytes of one photo."""
    total_bytes: int = 256 * 1024 * _MEBI
    """Unpacked bytes of the archive."""
    entries: int = 2_000_000
    """Entries of any kind."""
    ratio: int = 200
    """Unpacked to packed bytes. Photos hardly compress (1); deflate reaches 1030 on zeros."""
    any_ratio_bytes: int = 8 * _MEBI
    """Unpacked bytes up to which the ratio is not checked: small drawings compress well."""

    def is_suspicious(self, unpacked_bytes: int, packed_bytes: int) -> bool:
        """Whether the ratio is that of a decompression bomb, not of photos."""
        if unpacked_bytes <= self.any_ratio_bytes:
            return False
        return unpacked_bytes > self.ratio * max(1, packed_bytes)

    @property
    def entry_too_large(self) -> str:
        """The refusal of a large entry."""
        return f"It is larger than {self.entry_bytes / 1e6:.0f} MB."

    @property
    def too_many_entries(self) -> str:
        """The reason to stop at the limit of entries."""
        return f"it holds more than {self.entries} entries."

    @property
    def total_too_large(self) -> str:
        """The reason to stop at the limit of unpacked bytes."""
        return f"it unpacks to more than {self.total_bytes / 1e9:g} GB."


SUSPICIOUS = "It unpacks to far more than a photo does, like a zip bomb."
SUSPICIOUS_SUM = "its entries unpack to far more than photos do, like a zip bomb."
OVERLAPPING = "its entries overlap, like those of a zip bomb."


def refused_rest(reason: str, position: int) -> SourceItem:
    """The last item of an archive that is not read to its end."""
    refusal = f"The archive was read up to entry {position}; the rest was not: {reason}"
    metadata = ImageMetadata(filename="(rest of the archive)")
    return SourceItem(metadata, cursor.END, refusal=refusal)
