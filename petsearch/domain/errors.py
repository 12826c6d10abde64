"""The exceptions of petsearch.

PetsearchError
├── InvalidInput            the input is invalid; a retry does not help
│   ├── TooLarge            more bytes, pixels, characters or work than allowed
│   ├── TooSlow             the bytes come too slowly
│   └── NotAnImage          the bytes cannot be decoded as an image
├── NotFound                the object does not exist
├── Conflict                the state of the object forbids the operation
│   ├── Outdated            the object was changed since the caller read it
│   └── ModelNotLoaded      this embedder does not have the model; another one may
├── Unavailable             a dependency does not answer; a retry may succeed
│   ├── Overloaded          the queue is full; retry after `retry_after_s`
│   ├── SourceUnavailable   a site that a job reads from does not answer
│   │   └── ReaderLost      a process was ended while it read a source, which may be good
│   ├── StorageFull         no space left to write
│   ├── DecoderLost         a process was ended while it decoded a photo, which may be good
│   ├── DeviceMemoryFull    a batch does not fit into the device's memory; a smaller one may
│   └── DeviceLost          the device is lost until the process is restarted
└── ConfigurationError      a setting is missing or invalid

services/http/problems.py maps them to HTTP statuses; the worker retries `Unavailable` and
`Conflict`.
"""

import errno
from collections.abc import Collection, Iterable
from difflib import get_close_matches

MOST_SHOWN = 100
"""Characters of a name in a message."""
_AT_A_LIMIT = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN})
_NO_THREAD = "can't start new thread"


class PetsearchError(Exception):
    """Base class. `str(error)` is a message for people and says what to do."""

    @property
    def detail(self) -> str:
        """The message for people."""
        return str(self)


class InvalidInput(PetsearchError):
    """The input is invalid; a retry does not help."""


class TooLarge(InvalidInput):
    """More bytes, pixels, characters or work than allowed."""


class TooSlow(InvalidInput):
    """The bytes come too slowly."""


class NotAnImage(InvalidInput):
    """The bytes cannot be decoded completely as an image."""


class NotFound(PetsearchError):
    """The object does not exist."""


class Conflict(PetsearchError):
    """The state of the object forbids the operation."""


class Outdated(Conflict):
    """The object was changed since the caller read it."""


class ModelNotLoaded(Conflict):
    """This embedder does not have the model; another one may."""


class Unavailable(PetsearchError):
    """A dependency does not answer; a retry may succeed."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """The queue is full; retry after `retry_after_s`."""


class SourceUnavailable(Unavailable):
    """A site that a job reads from does not answer, such as a data-set hub; other jobs go on."""


class ReaderLost(SourceUnavailable):
    """A process made no progress or was ended while it read a source, which may be good."""


class StorageFull(Unavailable):
    """No space is left to write."""

    def __init__(self, message: str, *, retry_after_s: float = 60.0) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class DecoderLost(Unavailable):
    """A process made no progress or was ended while it decoded a photo, which may be good."""


class DeviceMemoryFull(Unavailable):
    """A batch does not fit into the device's memory; a smaller one may."""


class DeviceLost(Unavailable):
    """The device is lost; only a new process can use it again."""


class ConfigurationError(PetsearchError):
    """A setting is missing or invalid."""


def shortage_of(error: BaseException) -> Unavailable | None:
    """An `Unavailable` if an error comes from a limit on open files, processes or threads.

    The work that met the limit is not at fault, and may succeed when other work has ended.
    """
    if isinstance(error, OSError) and error.errno in _AT_A_LIMIT:
        what = error.strerror  # without the path, which callers need not know
    elif isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        what = _NO_THREAD
    else:
        return None
    return Unavailable(
        f"A limit of this machine or container is reached ({what}). If it stays so, raise the "
        "limit on open files (ulimit -n) or on processes and threads (ulimit -u, pids)."
    )


def may_be_of_its_input(error: Unavailable) -> bool:
    """Whether a dependency that answers others may fail because of what it was given."""
    return not isinstance(error, (Overloaded, StorageFull))


def is_damage(error: OSError) -> bool:
    """Whether an error is about the content of a file, which fails again however often it is read.

    pyarrow, bz2 and gzip raise OSErrors without a number for damaged content; the disk has numbers.
    """
    return error.errno is None and not isinstance(error, (TimeoutError, ConnectionError))


def unknown_choice(what: str, given: str, accepted: Iterable[str]) -> InvalidInput:
    """An `InvalidInput` that lists the accepted choices."""
    choices = ", ".join(sorted(accepted)) or "nothing yet"
    return InvalidInput(f"Unknown {what} {given[:MOST_SHOWN]!r}. Accepted: {choices}.")


def unknown_name(kind: str, name: str, known: Collection[str]) -> InvalidInput:
    """An `InvalidInput` that lists the known names, and the one that was probably meant."""
    name = name[:MOST_SHOWN]
    if not known:
        return InvalidInput(f"There is no {kind} {name!r} here; this call takes none.")
    nearest = get_close_matches(name, known, 1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return InvalidInput(f"There is no {kind} {name!r} here.{hint} There are: {', '.join(known)}.")
