"""Dates as spreadsheets, cameras and people write them."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from re import Match

_EXCEL_EPOCH = datetime(1899, 12, 30)
_LAST_EMPTY = date(1904, 1, 1)
"""Up to here: what Excel, Access, SQL Server and .NET write for an empty cell."""
_ZEROS = "0.:/- T"
"""What nothing but these stands for is an empty date, such as a camera's `  :  :     :  :  `."""
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NUMBERS = re.compile(r"(\d{1,4})([-./:])(\d{1,2})\2(\d{1,4})")
_DAY_MONTH = re.compile(r"(?:[a-z]+,? )?(\d{1,2})[-. ]+([a-z]{3,9})[-., ]+(\d{2,4})", re.IGNORECASE)
_MONTH_DAY = re.compile(r"(?:[a-z]+,? )?([a-z]{3,9})[. ]+(\d{1,2}),? +(\d{4})", re.IGNORECASE)
_SERIAL = re.compile(r"[1-9]\d{4}(\.\d+)?")
"""Excel's count of days, of 1927 to 2173; another bare number could mean anything."""
_TIME = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: *([ap])\.?m\.?)? *(Z|UTC|[-+]\d\d:?\d\d)?",
    re.IGNORECASE,
)


class AmbiguousDate(ValueError):
    """Day and month could be either way round."""


def parse_date(value: object, *, day_first: bool | None = None) -> datetime | None:
    """Parse a cell with a date, possibly with a time; None if the date is an empty one.

    Dates with dots have the day first. Of those with slashes or hyphens, `day_first` decides unless
    only one reading is a date; a four-digit number in front is the year.

    Raises:
        AmbiguousDate: both readings are dates, and `day_first` is None.
        ValueError: it is no date.
    """
    found = _of_type(value) or _of_text(str(value).strip(), day_first=day_first)
    if found is None or found.date() <= _LAST_EMPTY:
        return None
    return found


def find_day_first(values: Iterable[object]) -> bool | None:
    """Whether the dates of a column have the day first; None if they do not tell, or contradict."""
    told = set()
    for value in values:
        numbers = _NUMBERS.match(str(value).strip())
        if numbers and numbers[2] in "/-" and len(numbers[1]) < 3:
            first, second = int(numbers[1]), int(numbers[3])
            told |= {first > 12} if (first > 12) != (second > 12) else set()
    return told.pop() if len(told) == 1 else None


def _of_type(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, time):  # Excel's day 0
        return datetime.combine(_EXCEL_EPOCH, value)
    if isinstance(value, date):
        return datetime.combine(value, time())
    return None


def _of_text(text: str, *, day_first: bool | None) -> datetime | None:
    if not text.strip(_ZEROS):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if _SERIAL.fullmatch(text):
        return _EXCEL_EPOCH + timedelta(seconds=round(float(text) * 86_400))
    if numbers := _NUMBERS.match(text):
        year, month, day = _of_numbers(numbers, day_first=day_first)
        rest = text[numbers.end() :]
    elif named := _DAY_MONTH.match(text):
        year, month, day = _year(named[3]), _month(named[2]), int(named[1])
        rest = text[named.end() :]
    elif named := _MONTH_DAY.match(text):
        year, month, day = _year(named[3]), _month(named[1]), int(named[2])
        rest = text[named.end() :]
    else:
        raise ValueError("no date")
    if 0 in (year, month, day):
        return None
    return _at(datetime(year, month, day), rest.strip(" .,T"))


def _of_numbers(found: Match[str], *, day_first: bool | None) -> tuple[int, int, int]:
    """Year, month and day."""
    first, second = int(found[1]), int(found[3])
    if len(found[1]) > 2:
        return first, second, int(found[4])
    year = _year(found[4])
    if found[2] == "." or first > 12 or first == second:
        return year, second, first
    if second > 12:
        return year, first, second
    if day_first is None and first and second:
        raise AmbiguousDate(found[0])
    return (year, second, first) if day_first else (year, first, second)


def _year(text: str) -> int:
    """A year; one with two digits is one of 1969 to 2068, as POSIX has it."""
    year = int(text)
    if len(text) != 2 or text == "00":
        return year
    return year + (1900 if year > 68 else 2000)


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _at(day: datetime, text: str) -> datetime:
    """A day at the time of a text, or at midnight if it is empty."""
    if not text:
        return day
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    hour = int(found[1])
    if found[4]:
        hour = hour % 12 + (12 if found[4] in "pP" else 0)
    zone: tzinfo | None = None
    if found[5]:
        zone = datetime.strptime(found[5].upper().replace("UTC", "Z"), "%z").tzinfo
    return day.replace(hour=hour, minute=int(found[2]), second=int(found[3] or 0), tzinfo=zone)
