"""Ids, hashes and normalised names, by which equal images and names are recognised."""

import functools
import hashlib
import unicodedata
import uuid

from petsearch.domain.visible_text import visible_text

_NAMESPACE = uuid.UUID("5f0c8a52-6d0c-5c0e-9b4e-3a3f6f6d7a11")


@functools.lru_cache(maxsize=1024)
def image_id_of(sha256_hex: str) -> str:
    """The id of an image: UUIDv5 of the SHA-256 of its bytes, which makes ingest idempotent."""
    return str(uuid.uuid5(_NAMESPACE, sha256_hex))


def sha256_of(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def normalise_name(name: str) -> str:
    """A breed, species or status as it is stored and compared: `Maine_Coon ` is `maine coon`."""
    seen = visible_text(name.replace("_", " "))
    return seen.lower() if seen.isascii() else unicodedata.normalize("NFC", seen.lower())


def hash_distance(one: str, other: str) -> int:
    """The Hamming distance of two perceptual hashes of 64 bits, 0..64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def hash_bands(phash: str) -> tuple[str, ...]:
    """The four 16-bit quarters of a perceptual hash with their positions: `("0:ab12", "1:…", …)`.

    Hashes that differ in at most three bits share at least one band.
    """
    return tuple(f"{place}:{phash[4 * place : 4 * place + 4]}" for place in range(4))
