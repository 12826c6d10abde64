"""What a fault test sends: drawings, the same bytes again under other names, and broken files."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from petsearch.client import Photo, PhotoSource
from petsearch.domain import image_id_of, sha256_of
from petsearch.sample.catalogue import drawing_at

_REPEAT_SHARE = 0.06
_BROKEN_SHARE = 0.03
_HEADER_BYTES = 300
"""Of a broken file: less than its tables. With half of its rows it would be ingested."""
_MEMORY = 200
"""A repeat is of one of the last so many drawings."""


@dataclass
class Material:
    """`count` photos in a fixed random order; what was sent is remembered as it is read."""

    count: int
    seed: int
    broken: list[str] = field(default_factory=list)
    """The files that are no whole pictures."""
    names_by_image: dict[str, list[str]] = field(default_factory=dict)
    """The files that hold each good image, by its id."""

    @property
    def source(self) -> PhotoSource:
        """The photos, drawn one at a time."""
        return PhotoSource(self._photos(), self.count)

    def _photos(self) -> Iterator[Photo]:
        rng = random.Random(self.seed)
        recent: list[bytes] = []
        for number in range(self.count):
            kind = rng.random()
            if recent and kind < _REPEAT_SHARE:
                yield self._good(f"{number:05d}-again.jpg", rng.choice(recent))
                continue
            data = drawing_at(number, self.seed).to_jpeg()
            if kind < _REPEAT_SHARE + _BROKEN_SHARE:
                yield self._broken(f"{number:05d}-broken.jpg", data[:_HEADER_BYTES])
                continue
            recent = [*recent[-_MEMORY:], data]
            yield self._good(f"{number:05d}.jpg", data)

    def _good(self, name: str, data: bytes) -> Photo:
        self.names_by_image.setdefault(image_id_of(sha256_of(data)), []).append(name)
        return Photo(name, data)

    def _broken(self, name: str, data: bytes) -> Photo:
        self.broken.append(name)
        return Photo(name, data)
