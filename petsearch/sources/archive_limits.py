"""How much an archive may hold, and what is said about what goes beyond it."""

from dataclasses import dataclass

from petsearch.domain import ImageMetadata
from petsearch.sources import cursor
from petsearch.sources.source import SourceItem

_MEBI = 1024 * 1024


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may declare and hold. Reading stops, or refuses an entry, above it."""

    entry_bytes: int = 50 * _MEBI
    """Unpacked, of one photo."""
    total_bytes: int = 256 * 1024 * _MEBI
    """Unpacked, of the whole archive."""
    entries: int = 2_000_000
    """Photos and anything else."""
    ratio: int = 200
    """Unpacked to packed. Photos are packed already (1 to 1); deflate reaches 1030 on zeros."""
    any_ratio_bytes: int = 8 * _MEBI
    """Unpacked bytes up to which the ratio does not matter: small drawings pack well."""

    def is_suspicious(self, unpacked_bytes: int, packed_bytes: int) -> bool:
        """Whether so much comes out of so little that it is no archive of photos."""
        if unpacked_bytes <= self.any_ratio_bytes:
            return False
        return unpacked_bytes > self.ratio * max(1, packed_bytes)

    @property
    def entry_too_large(self) -> str:
        """Why one entry is refused."""
        return f"It is larger than {self.entry_bytes / 1e6:.0f} MB."


SUSPICIOUS = "It unpacks to far more than a photo does, as a zip bomb would."


def rest_refused(reason: str, position: int) -> SourceItem:
    """The last item of an archive that is not read to its end."""
    refusal = f"The archive was read up to entry {position}; the rest was not: {reason}"
    metadata = ImageMetadata(filename="(rest of the archive)")
    return SourceItem(metadata, cursor.END, refusal=refusal)
