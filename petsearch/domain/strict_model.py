"""JSON that is understood completely, or rejected."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from petsearch.domain.arrays import JsonDict
from petsearch.domain.errors import InvalidInput, unknown_name


class StrictModel(BaseModel):
    """A model that rejects fields it does not have, and lists those it has."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _reject_unknown_names(cls, given: Any) -> Any:
        for name in given if isinstance(given, Mapping) else ():
            if name not in cls.model_fields:
                sentence = unknown_name("field", str(name), cls.model_fields).detail
                raise PydanticCustomError("unknown_field", "{sentence}", {"sentence": sentence})
        return given


def read_json(text: str | bytes, name: str) -> Any:
    """Decode JSON in which no object has a field twice; errors call it `name`.

    Raises:
        InvalidInput: it is no JSON, or an object has a field twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        where = f", at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"{name} is not valid JSON{where}.") from error


def _without_repetition(fields: list[tuple[str, Any]]) -> JsonDict:
    for name, count in Counter(name for name, _ in fields).items():
        if count > 1:
            raise InvalidInput(f"The field {name[:100]!r} is given more than once.")
    return dict(fields)
