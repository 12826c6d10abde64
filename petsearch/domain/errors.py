"""The error tree. Everything petsearch raises on purpose is one of these.

PetsearchError
├── InvalidInput            what was sent cannot be used; sending it again will not help
│   ├── TooLarge            more bytes, pixels or characters than allowed
│   └── NotAnImage          the bytes are no picture that can be decoded
├── NotFound                the thing named does not exist
├── Conflict                the thing named is in a state that forbids this
│   └── Outdated            the thing named was changed since the caller looked at it
├── Unavailable             a dependency does not answer; the same call may work later
│   ├── Overloaded          too much is queued; try again after `retry_after_s`
│   ├── StorageFull         no space left to write
│   ├── DeviceMemoryFull    a batch does not fit the device; a smaller one may
│   └── DeviceLost          the device is gone until the process is started again
└── ConfigurationError      a setting is missing or wrong; somebody must change it

Which of them is which HTTP status is in services/http/problems.py; the worker retries
`Unavailable` and `Conflict`.
"""

from collections.abc import Iterable


class PetsearchError(Exception):
    """Root of the tree. `str(error)` is one sentence for a person and says what to do."""

    @property
    def detail(self) -> str:
        """The sentence for a person."""
        return str(self)


class InvalidInput(PetsearchError):
    """What was sent cannot be used; sending the same again will not help."""


class TooLarge(InvalidInput):
    """More bytes, pixels or characters than allowed."""


class NotAnImage(InvalidInput):
    """The bytes are no picture that can be decoded whole."""


class NotFound(PetsearchError):
    """The thing named does not exist."""


class Conflict(PetsearchError):
    """The thing named is in a state that forbids this."""


class Outdated(Conflict):
    """The thing named was changed since the caller looked at it."""


class Unavailable(PetsearchError):
    """A dependency does not answer; the same call may work later."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """Too much is queued already; try again after `retry_after_s`."""


class StorageFull(Unavailable):
    """There is no space left to write."""

    def __init__(self, message: str, *, retry_after_s: float = 60.0) -> None:
        super().__init__(message, retry_after_s=retry_after_s)


class DeviceMemoryFull(Unavailable):
    """A batch does not fit into the device's memory; a smaller one may."""


class DeviceLost(Unavailable):
    """The device does not answer any more; only a new process can use it again."""


class ConfigurationError(PetsearchError):
    """A setting is missing or wrong; somebody must change it."""


def unknown_choice(what: str, given: str, accepted: Iterable[str]) -> InvalidInput:
    """An `InvalidInput` that lists what would have been accepted."""
    choices = ", ".join(sorted(accepted)) or "nothing yet"
    return InvalidInput(f"Unknown {what} {given!r}. Accepted: {choices}.")
