"""Configuration files of runs: TOML, validated by pydantic with strict types and no defaults."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from petsearch.domain.errors import ConfigurationError

STRICT = ConfigDict(strict=True, extra="forbid")
"""Of every table: no value is converted to another type, and no unknown key is accepted."""
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
"""A count that may be 0."""
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A rate or a weight."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Template = Annotated[str, Field(pattern=r"\{\}")]
"""A prompt with `{}` where the class name goes."""

_Config = TypeVar("_Config")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigurationError: the file is missing, or not valid TOML in UTF-8.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as TOML: {error}") from error


def validated(kind: type[_Config], tables: Mapping[str, Any], source: Path) -> _Config:
    """The configuration of type `kind` in `tables`, which were read from `source`.

    Raises:
        ConfigurationError: a key is unknown or missing, or its value has the wrong type or lies
            outside its range. The message names the file, the key and what is accepted.
    """
    try:
        # In JSON mode, strict validation takes an array for a tuple.
        return TypeAdapter(kind).validate_json(json.dumps(tables, default=str))
    except ValidationError as error:
        problems = " ".join(_explained(kind, problem) for problem in error.errors())
        raise ConfigurationError(f"{source}: {problems}") from error


def _explained(kind: type[Any], problem: ErrorDetails) -> str:
    *tables, key = problem["loc"] or ("",)
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] in ("missing", "unexpected_keyword_argument"):
        for table in tables:
            kind = get_type_hints(kind)[str(table)]
        state = "missing" if problem["type"] == "missing" else "not a known key"
        return f"{name} is {state}. Accepted keys: {', '.join(get_type_hints(kind))}."
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], dict):
        return f"{name}: {message}." if key else f"{message}."
    return f"{name} is {problem['input']!r}: {message}."
