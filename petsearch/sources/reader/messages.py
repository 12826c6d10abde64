"""What a process that reads a source and its parent tell each other: JSON, checked by both.

The bytes of photos and of files follow the message that announces them. No pickles: see
`petsearch.photos.child_messages`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator, TypeAdapter

from petsearch.domain import LeftOut
from petsearch.sources.source import SourceItem

MOST_BYTES = 16 << 20
"""Of a message."""


@dataclass(frozen=True)
class Order:
    """Read a source."""

    spec: str
    """JSON of a `SourceSpec`."""
    cursor: str | None
    counts: bool
    """Tell how many items it has before they are read."""
    file_bytes: int | None
    """Size of the file that the parent has open; None for a data set."""
    folder: str | None
    """See `ManifestSource.folder`."""
    import_dirs: tuple[str, ...]
    max_bytes: int
    """The size limit of a photo."""
    most_bytes: int
    """Of memory, over what the process takes before it reads."""
    most_s: float
    """Of processor time, from one entry to the next."""


@dataclass(frozen=True)
class Wanted:
    """Bytes of the file are needed; the parent sends them."""

    wanted_at: int
    size: int
    kind: Literal["wanted"] = "wanted"


@dataclass(frozen=True)
class Item:
    """The next item; if `has_data`, the photo's bytes follow."""

    item: SourceItem
    has_data: bool
    kind: Literal["item"] = "item"


@dataclass(frozen=True)
class NoItem:
    """The next entry is no photo."""

    left_out: LeftOut
    kind: Literal["no_item"] = "no_item"


@dataclass(frozen=True)
class Count:
    """How many items the source has, if that is known."""

    count: int | None
    kind: Literal["count"] = "count"


@dataclass(frozen=True)
class End:
    """The source ends here."""

    kind: Literal["end"] = "end"


@dataclass(frozen=True)
class Failure:
    """The source is not read any further."""

    error: str
    """The class of the error that the parent raises."""
    detail: str
    kind: Literal["failure"] = "failure"


Reply = Count | Wanted | Item | NoItem | End | Failure

ORDER: TypeAdapter[Order] = TypeAdapter(Order)
# By its kind: validating a reply as each of them in turn takes twice as long.
REPLY: TypeAdapter[Reply] = TypeAdapter(Annotated[Reply, Discriminator("kind")])
