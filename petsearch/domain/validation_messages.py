"""What is wrong with input, in sentences that say what to send instead of pydantic's own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
_TEXT_BRANCH = "constrained-str"


def message(error: "ErrorDetails") -> str:
    """What is wrong, without the name of the field and without a full stop."""
    context: Mapping[str, Any] = error.get("ctx", {})
    said = _SENTENCES.get(error["type"], "cannot be used").format_map(context).rstrip(".")
    return _FILE if "UploadFile" in said else said


def messages(errors: Sequence["ErrorDetails"], *of: str) -> list[str]:
    """A sentence without its full stop for each error, such as `limit: must be at least 1`.

    Args:
        of: names of what was validated, before the names of its fields.
    """
    # Where text or an object is taken, an object is no wrong text.
    wanted = [error for error in errors if _TEXT_BRANCH not in error["loc"]] or errors
    return [_message(error, of) for error in wanted]


def _message(error: "ErrorDetails", of: Sequence[str]) -> str:
    if error["type"] == "json_invalid" and error["loc"]:  # FastAPI's, for a whole body
        return f"The body is not valid JSON, at character {error['loc'][-1]}"
    # Names of the branches of a union are pydantic's, not the caller's.
    names = [str(n) for n in (*of, *error["loc"]) if "[" not in str(n) and n != _TEXT_BRANCH]
    if not names and error["type"] != "unknown_field":
        return _BODY
    return ": ".join(filter(None, [".".join(names), message(error)]))
