"""The table of all names: `PETSEARCH_…` variables, who reads each, and whether it may be empty."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from petsearch.settings.sections import (
    Access,
    Addresses,
    CommandLine,
    ComposeFiles,
    Dates,
    Imports,
    Limits,
    Logs,
    Section,
    Tests,
    Versions,
    Work,
)

SECTIONS: tuple[type[Section], ...] = (
    Addresses,
    Access,
    Imports,
    Dates,
    Work,
    Limits,
    Logs,
    Versions,
    CommandLine,
    ComposeFiles,
    Tests,
)


@dataclass(frozen=True)
class Variable:
    """An environment variable."""

    section: type[Section]
    field: str
    info: FieldInfo

    @property
    def may_be_empty(self) -> bool:
        """Whether set to nothing it counts as unset: not if that could open what was to be shut."""
        is_secret = self.info.annotation is SecretStr or self.field == "s3_access_key"
        return self.section.may_be_empty and not is_secret

    @property
    def takes_list(self) -> bool:
        """Whether its value is a JSON list."""
        return isinstance(self.info.default, tuple)


def _variables() -> Iterator[tuple[str, Variable]]:
    for section in SECTIONS:
        for field, info in section.model_fields.items():
            yield f"{section.prefix}{field.upper()}", Variable(section, field, info)


TABLE: Mapping[str, Variable] = dict(_variables())
"""By name as it is written."""
