"""JSON that is understood completely, or rejected."""

import json
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

from petsearch.domain.arrays import JsonDict
from petsearch.domain.errors import InvalidInput, unknown_name
from petsearch.domain.visible_text import is_left_out

_ABOUT_A_FIELD = ("title", "description", "default", "examples")


class StrictModel(BaseModel):
    """A model that rejects fields it does not have, and lists those it has.

    A list or an object of more entries than its field takes is rejected before one of them is
    looked at. Pydantic itself would validate all entries of an object before it counts them.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _understood(cls, given: Any) -> Any:
        fields = cls.model_fields
        for name in given if isinstance(given, Mapping) else ():
            if name not in fields:
                sentence = unknown_name("field", str(name), fields).detail
                raise PydanticCustomError("unknown_field", "{sentence}", {"sentence": sentence})
        too_long = list(_too_long(cls, given)) if isinstance(given, Mapping) else []
        if too_long:
            raise ValidationError.from_exception_data(cls.__name__, too_long)
        return cls._said(given)

    @classmethod
    def _said(cls, given: Any) -> Any:
        return given


class QueryModel(StrictModel):
    """What a search asks for: a field that is empty, blank or null counts as left out."""

    @classmethod
    def _said(cls, given: Any) -> Any:
        return without_nothing(given)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonDict:
        """Optional fields also accept null; other empty values would spoil the types."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        required = schema.get("required", ())
        for name, field in schema["properties"].items():
            schema["properties"][name] = field if name in required else _or_null(field)
        return schema


def without_nothing(given: Any) -> Any:
    """An object without the fields, or a list without the entries, that say nothing."""
    if isinstance(given, Mapping):
        return {name: value for name, value in given.items() if not _says_nothing(value, name)}
    if isinstance(given, list):
        return [value for value in given if not _says_nothing(value)]
    return given


@cache
def entry_limits(model: type[BaseModel]) -> Mapping[str, int | None]:
    """How many entries the fields take that are lists or objects of them; None for any number."""
    return {
        name: next((n for of in field.metadata if (n := getattr(of, "max_length", None))), None)
        for name, field in model.model_fields.items()
        if is_one_of(field.annotation, list, dict)
    }


def _too_long(model: type[BaseModel], given: Mapping[str, Any]) -> Iterator[InitErrorDetails]:
    for name, most in entry_limits(model).items():
        entries = given.get(name)
        if most is not None and isinstance(entries, list | Mapping) and len(entries) > most:
            sizes = {"field_type": "Value", "max_length": most, "actual_length": len(entries)}
            yield InitErrorDetails(type="too_long", loc=(name,), input=None, ctx=sizes)


def is_one_of(annotation: Any, *kinds: type) -> bool:
    """Whether an annotation, or one that it is made of, is `list[…]` or another of `kinds`."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, Annotated):
        return any(is_one_of(part, *kinds) for part in get_args(annotation))
    return origin in kinds


def _or_null(field: JsonDict) -> JsonDict:
    if {"type": "null"} in field.get("anyOf", ()):
        return field
    about = {name: field[name] for name in _ABOUT_A_FIELD if name in field}
    kind = {name: value for name, value in field.items() if name not in about}
    if isinstance(about.get("default"), list | dict):
        del about["default"]  # Empty, or that of its fields; generators take none beside null.
    kinds = kind["anyOf"] if list(kind) == ["anyOf"] else [kind]
    return {"anyOf": [*kinds, {"type": "null"}], **about}


def _says_nothing(value: Any, name: str = "") -> bool:
    return value in (None, [], {}) or (isinstance(value, str) and is_left_out(name, value))


def read_json(text: str | bytes, name: str) -> Any:
    """Decode JSON in which no object has a field twice; errors call it `name`.

    A byte order mark is passed over, with which editors on Windows begin files.

    Raises:
        InvalidInput: it is no JSON, or an object has a field twice.
    """
    if isinstance(text, str):  # of bytes, json passes over it
        text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        where = f", at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"{name} is not valid JSON{where}.") from error


def _without_repetition(fields: list[tuple[str, Any]]) -> JsonDict:
    found = dict(fields)
    if len(found) < len(fields):
        ((name, _),) = Counter(name for name, _ in fields).most_common(1)
        raise InvalidInput(f"The field {name[:100]!r} is given more than once.")
    return found
