"""Writes docs/settings.md from the table of settings: `python -m tests.tools.settings_page`."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr

from petsearch.settings.sections import Section
from petsearch.settings.table import SECTIONS

PAGE = Path(__file__).parents[2] / "docs/settings.md"
_HEAD = """# Settings

All settings are environment variables. Lists are JSON: `PETSEARCH_IMPORT_DIRS='["/srv/photos"]'`.
Switches are 1 or 0. Spaces and line ends around a value are ignored. A variable that is set to
nothing counts as unset; keys, secrets and the variables under "Access" must be unset instead. A
program does not start with an invalid value or with a `PETSEARCH_` name that is not on this page,
and says which.

Each of them can be read from a file instead, such as a secret that Docker or Kubernetes mounts:
append `_FILE` to the name and give the path, `/run/secrets/…`.

This page is made from `petsearch/settings/sections.py`: `python -m tests.tools.settings_page`."""


def page() -> str:
    """The whole page."""
    return "\n\n".join([_HEAD, *map(_section, SECTIONS)]) + "\n"


def _section(section: type[Section]) -> str:
    title, _, note = inspect.cleandoc(section.__doc__ or "").partition("\n\n")
    table = ["| variable | default | what it is |", "|---|---|---|", *_rows(section)]
    return "\n\n".join(filter(None, [f"## {title}", note, "\n".join(table)]))


def _rows(section: type[Section]) -> Iterator[str]:
    for field, info in section.model_fields.items():
        default = _written(info.default)
        shown = f" `{default}`" if default else ""
        yield f"| `{section.prefix}{field.upper()}` |{shown} | {info.description} |"


def _written(default: object) -> str:
    """As in the environment."""
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, tuple):
        return json.dumps(default)
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
