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
_TAGGED = "source"
"""Has several kinds of object: pydantic puts the kind behind its name."""
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


def messages(errors: Sequence["ErrorDetails"], *of: str) -> list[str]:
    """A sentence without its full stop for each error, such as `limit: must be at least 1`.

    Args:
        of: names of what was validated, before the names of its fields.
    """
    return [_message(error, of) for error in _of_what_was_meant(errors)]


def _of_what_was_meant(errors: Sequence["ErrorDetails"]) -> Sequence["ErrorDetails"]:
    """Where text or an object is taken: neither is a wrong one of the other."""
    texts = {
        field: error["type"] != "string_type"
        for error in errors
        if (field := _field_of_text(error)) is not None
    }
    wanted = [
        error
        for error in errors
        if (_field_of_text(error) is not None)
        == any(is_meant and _is_in(error, field) for field, is_meant in texts.items())
    ]
    return wanted or errors


def _field_of_text(error: "ErrorDetails") -> tuple[int | str, ...] | None:
    """Where the text is that an error is about, if text is one of several things taken there."""
    place = error["loc"]
    branch = next((at for at, name in enumerate(place) if _TEXT_BRANCH in str(name)), None)
    return None if branch is None else place[:branch]


def _is_in(error: "ErrorDetails", field: tuple[int | str, ...]) -> bool:
    return error["loc"][: len(field)] == field


def _message(error: "ErrorDetails", of: Sequence[str]) -> str:
    if error["type"] == "json_invalid" and error["loc"]:  # FastAPI's, for a whole body
        return f"The body is not valid JSON, at character {error['loc'][-1]}"
    # Names of the branches of a union are pydantic's, not the caller's.
    branches = (_TEXT_BRANCH, "[")
    place = [str(n) for n in error["loc"] if not any(branch in str(n) for branch in branches)]
    if _TAGGED in place[:-1]:
        del place[place.index(_TAGGED) + 1]
    names = [*of, *place]
    if not names and error["type"] != "unknown_field":
        return _BODY
    return ": ".join(filter(None, [".".join(names), message(error)]))
