"""docs/settings.md names every setting with its default."""

import json
import re
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from petsearch.cli.connection import DEFAULT_API
from petsearch.settings import Limits, Settings

DOCUMENT = (Path(__file__).parents[2] / "docs/settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(PETSEARCH_[A-Z0-9_]+)` \| (?:`(.*?)` )?\| \S.* \|$", re.MULTILINE)
COMMAND_LINE = {"PETSEARCH_API": DEFAULT_API, "PETSEARCH_API_KEY": ""}
"""Read beside the settings: petsearch/cli/connection.py."""


def test_every_setting_is_there_with_its_default() -> None:
    settings = {k: v for k, v in Settings.model_fields.items() if v.annotation is not Limits}
    known = {
        **_defaults("PETSEARCH_", settings),
        **_defaults("PETSEARCH_LIMIT_", Limits.model_fields),
        **COMMAND_LINE,
    }
    assert dict(ROW.findall(DOCUMENT)) == known


def _defaults(prefix: str, fields: dict[str, FieldInfo]) -> dict[str, str]:
    return {f"{prefix}{name.upper()}": _written(field.default) for name, field in fields.items()}


def _written(default: object) -> str:
    """As in the environment."""
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, tuple):
        return json.dumps(default)
    return default.get_secret_value() if isinstance(default, SecretStr) else str(default)
