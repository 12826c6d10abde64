"""What is wrong with input, in sentences that say what to send instead of pydantic's own."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from petsearch.domain.errors import MOST_SHOWN

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_TIME = "must be a date and time such as 2026-05-01T12:30:00Z"
_NUMBER, _WHOLE_NUMBER = "must be a number", "must be a whole number"
_OBJECT = "must be a JSON object"
_BOOLEAN = "must be true or false"
_UUID = "must be a UUID such as 6f1f32cf-0000-4000-8000-000000000000"
_FILE = "must be a file: a part of multipart/form-data that has a filename"
_BODY = "The body must be a JSON object, sent with Content-Type: application/json"

_SENTENCES: Mapping[str, str] = {
    "missing": "is missing or empty",
    "string_type": "must be text",
    "string_unicode": "must be text in valid Unicode",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "list_type": "must be a list",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "{discriminator} must be one of {expected_tags}",
    "union_tag_not_found": "needs the field {discriminator}",
    "uuid_type": _UUID,
    "uuid_parsing": _UUID,
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "timezone_aware": f"{_TIME}, with its zone",
    "none_required": "must be null, or left out",
    "json_invalid": "must be valid JSON",
    "unknown_field": "{sentence}",
    "value_error": "{error}",
}
"""By the type of pydantic's error, with the fields of its context."""
_MOST_MESSAGES = 10
_KINDS: Mapping[str, int] = {"source": 2, "by": 1}
"""Fields that take several kinds, and how many names of a kind pydantic puts behind theirs."""
_OF_KEY = "[key]"
"""What pydantic puts behind the name of an entry that is itself wrong."""
_PATTERNS: Mapping[str, str] = {
    r"^[^\x00-\x08\x0e-\x1f\x7f]*$": "must have no control characters",
    r"^[^=\x00-\x08\x0e-\x1f\x7f]+$": "must have neither = nor control characters, and be seen",
    r"^[^=\x00-\x08\x0e-\x1f\x7f]+=[^\x00-\x08\x0e-\x1f\x7f]+$": (
        "must be name=value, such as collar=red"
    ),
    r"^[A-Za-z0-9_|,:.+ \t-]*$": "is no cursor; take next_cursor of an answer as it is",
    r"^[0-9A-Fa-f-]+$": "must be the beginning of an id, such as 3f2a91bc",
}
"""Patterns in words."""


def message(error: "ErrorDetails") -> str:
    """What is wrong, without the name of the field and without a full stop."""
    context: Mapping[str, Any] = error.get("ctx", {})
    if (pattern := _PATTERNS.get(context.get("pattern", ""))) is not None:
        return pattern
    said = _SENTENCES.get(error["type"], "cannot be used").format_map(context).rstrip(".")
    return _FILE if "UploadFile" in said else said


def messages(errors: Iterable["ErrorDetails"], *of: str) -> list[str]:
    """Sentences without a full stop for the first errors, such as `limit: must be at least 1`.

    Args:
        of: names of what was validated, before the names of its fields.
    """
    return [_message(error, of) for error in islice(errors, _MOST_MESSAGES)]


def _message(error: "ErrorDetails", of: Sequence[str]) -> str:
    if error["type"] == "json_invalid" and error["loc"]:  # FastAPI's, for a whole body
        return f"The body is not valid JSON, at character {error['loc'][-1]}"
    place = [str(name)[:MOST_SHOWN] for name in error["loc"]]
    if place:
        del place[1 : 1 + _KINDS.get(place[0], 0)]
    if place[-1:] == [_OF_KEY] and len(place) > 2:
        del place[-1]
    names = [*of, *filter(None, place)]
    if not names and error["type"] != "unknown_field":
        return _BODY
    return ": ".join(filter(None, [".".join(names), message(error)]))
