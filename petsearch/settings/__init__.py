"""Settings from `PETSEARCH_…` environment variables, and the table of all their names."""

from petsearch.settings.environment import (
    Settings,
    exit_if_misconfigured,
    read_command_line,
    says_json,
    set_values,
    start_logging,
)
from petsearch.settings.sections import Limits
from petsearch.settings.table import TABLE, Variable

__all__ = [
    "TABLE",
    "Limits",
    "Settings",
    "Variable",
    "exit_if_misconfigured",
    "read_command_line",
    "says_json",
    "set_values",
    "start_logging",
]
