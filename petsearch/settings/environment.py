"""Reads the environment by the table: names that are not in it and bad values stop the start."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Self, TypeVar

from pydantic import Field, ValidationError

from petsearch.domain.addresses import without_password
from petsearch.domain.errors import ConfigurationError
from petsearch.observability import configure_logging, get_logger
from petsearch.settings.sections import (
    Access,
    Addresses,
    CommandLine,
    Dates,
    Imports,
    Limits,
    Logs,
    Section,
    Versions,
    Work,
)
from petsearch.settings.table import TABLE

log = get_logger(__name__)

_PREFIX = "PETSEARCH_"
_LINK = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$"
)
"""How names end that Kubernetes makes for each service of a namespace, here one of ours."""
_IN_FILE = "_FILE"
"""How the name of a variable ends that names the file with another one's value."""
_SWITCH = "PETSEARCH_IGNORE_UNKNOWN_SETTINGS"

S = TypeVar("S", bound=Section)


class Settings(Addresses, Access, Imports, Dates, Work, Logs, Versions):
    """The settings of a server. The four addresses and the model have no default."""

    limits: Limits = Field(default_factory=Limits)

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment.

        Raises:
            ConfigurationError: a variable has an invalid value, or no such one exists; the message
                names it.
        """
        given = set_values(os.environ)
        settings = _read(cls, given).model_copy(update={"limits": _read(Limits, given)})
        unknown = unknown_names(os.environ)
        if unknown and not settings.ignore_unknown_settings:
            raise ConfigurationError(
                f"There is no setting {', '.join(map(_corrected, unknown))}. Correct or unset what "
                f"is misspelt; {_SWITCH}=1 ignores settings of a newer version."
            )
        return settings

    def require(self, *names: str) -> None:
        """Check that the named settings are set.

        Raises:
            ConfigurationError: one is not; the message says what it may hold.
        """
        for name in names:
            if not getattr(self, name):
                what = str(type(self).model_fields[name].description).replace("`", "")
                raise ConfigurationError(f"{_PREFIX}{name.upper()} is not set. It takes: {what}.")


def start_logging(default_level: str | None = None) -> Settings:
    """Read the environment, and log as it says.

    Args:
        default_level: of the log, where PETSEARCH_LOG_LEVEL is not set.

    Raises:
        ConfigurationError: see `Settings.from_environment`.
    """
    settings = Settings.from_environment()
    is_set = "log_level" in settings.model_fields_set
    level = settings.log_level if is_set or default_level is None else default_level
    configure_logging(level=level, json=settings.log_json)
    if unknown := unknown_names(os.environ):
        log.warning("settings that this version does not know are ignored", names=unknown)
    return settings


@contextmanager
def exit_if_misconfigured() -> Iterator[None]:
    """End the process with the message of a `ConfigurationError` alone, and exit code 1.

    The message is a line of the log where that is JSON.
    """
    try:
        yield
    except ConfigurationError as error:
        if says_json():
            configure_logging(json=True)
            log.critical("not started", reason=error.detail)
            raise SystemExit(1) from None
        raise SystemExit(f"Error: {error.detail}") from None


def says_json() -> bool:
    """Whether what this process says is to be JSON, also where its settings cannot be read."""
    return os.environ.get("PETSEARCH_LOG_JSON", "").strip().lower() in ("1", "true")


def read_command_line() -> CommandLine:
    """Where commands find their server, and with which key.

    Raises:
        ConfigurationError: a variable has an invalid value; the message names it.
    """
    return _read(CommandLine, set_values(os.environ))


def set_values(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the table that have a value, without the space and line ends around it.

    The value of `NAME` may be in a file, which `NAME_FILE` names; empty is unset for these, too.

    Raises:
        ConfigurationError: a secret or a setting of access is set to nothing, or a file cannot be
            read.
    """
    given = {}
    written = {**environment, **_values_in_files(environment)}
    for name in TABLE.keys() & written.keys():
        if value := written[name].strip():
            given[name] = value
        elif not TABLE[name].may_be_empty:
            raise ConfigurationError(
                f"{name} is set to nothing, which could open what it is to protect. Unset it, or "
                "give it a value."
            )
    return given


def _values_in_files(environment: Mapping[str, str]) -> dict[str, str]:
    values = {}
    for file in environment.keys() & {f"{name}{_IN_FILE}" for name in TABLE}:
        name, path = file.removesuffix(_IN_FILE), environment[file].strip()
        if not path:
            continue
        if environment.get(name, "").strip():
            raise ConfigurationError(f"{name} and {file} are both set: unset one of them.")
        try:
            values[name] = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{file} is {path!r}, which cannot be read: {error}."
            ) from None
    return values


def unknown_names(environment: Iterable[str]) -> list[str]:
    """The names that begin like ours and are in no table, sorted."""
    ours = (name for name in environment if name.upper().startswith(_PREFIX))
    return sorted(
        name
        for name in ours
        if name not in TABLE and name.removesuffix(_IN_FILE) not in TABLE and not _is_link(name)
    )


def _is_link(name: str) -> bool:
    value = os.environ.get(name, "")
    return bool(_LINK.search(name)) or (name.endswith("_PORT") and "://" in value)


def _corrected(name: str) -> str:
    upper = name.upper()
    nearest = get_close_matches(
        upper.removeprefix(_PREFIX), [known.removeprefix(_PREFIX) for known in TABLE], 1
    )
    return f"{name} (did you mean {_PREFIX}{nearest[0]}?)" if nearest else name


def _read(section: type[S], given: Mapping[str, str]) -> S:
    fields = section.model_fields
    values = {
        variable.field: _decoded(name, given[name]) if variable.takes_list else given[name]
        for name, variable in TABLE.items()
        if name in given and variable.field in fields and issubclass(section, variable.section)
    }
    try:
        return section.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        field = problem["loc"][0]
        name = next(
            name
            for name, variable in TABLE.items()
            if variable.field == field and issubclass(section, variable.section)
        )
        raise ConfigurationError(
            f"{name} is {without_password(given[name])!r}: {_said(problem['msg'])}."
        ) from None


def _decoded(name: str, value: str) -> list[object]:
    try:
        decoded = json.loads(value)
    except ValueError:
        decoded = None
    if isinstance(decoded, list):
        return decoded
    items = json.dumps([item.strip(" []\"'") for item in value.split(",")], ensure_ascii=False)
    raise ConfigurationError(f"{name} is {value!r}: it should be a JSON list, such as {items}.")


def _said(message: str) -> str:
    """Pydantic's message as the end of a sentence."""
    said = message.removeprefix("Value error, ").replace("Input should be", "it should be")
    return said.partition(", unable to ")[0]
