"""Dates as spreadsheets, cameras and people write them."""

import re
import unicodedata
from datetime import date, datetime, time, timedelta, tzinfo
from re import Match

_EXCEL_EPOCH = datetime(1899, 12, 30)
_LAST_EMPTY = date(1904, 1, 1)
"""Up to here: what Excel, Access, SQL Server and .NET write for an empty cell."""
_ZEROS = "0.:/- T"
"""What nothing but these stands for is an empty date, such as a camera's `  :  :     :  :  `."""
_MONTHS = (
    *("jan jän gen ene", "feb fév fev", "mar mär mae mrt maa", "apr avr abr", "may mai mei mag"),
    *("jun giu juin", "jul lug juil", "aug aoû aou ago", "sep set", "oct okt ott out", "nov"),
    "dec dez déc dic",
)
"""How their names begin in English, German, French, Spanish, Italian, Portuguese and Dutch."""
_NUMBERS = re.compile(r"(\d{1,4})([-./:])(\d{1,2})\2(\d{1,4})")
_WORD = r"[^\W\d_]"
_ORDINAL = "(?:st|nd|rd|th|er|º)?"
_DAY_MONTH = re.compile(
    rf"(?:{_WORD}+,? )?(\d{{1,2}}){_ORDINAL}[-. ]*(?:de )?"
    rf"({_WORD}{{3,10}})[-., ]*(?:de )?(\d{{2,4}})",
    re.IGNORECASE,
)
_MONTH_DAY = re.compile(
    rf"(?:{_WORD}+,? )?({_WORD}{{3,10}})[. ]+(\d{{1,2}}){_ORDINAL}[, ]+(\d{{4}})", re.IGNORECASE
)
_EAST_ASIAN = re.compile(r"(\d{4})[年년] ?(\d{1,2})[月월] ?(\d{1,2})[日일]")
_SERIAL = re.compile(r"[1-9]\d{4}(\.\d+)?")
"""Excel's count of days, of 1927 to 2173; another bare number could mean anything."""
_TIME = re.compile(
    r"(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: *([ap])\.?m\.?| *Uhr)?"
    r" *(Z|UTC|GMT|[-+]\d\d:?\d\d)?",
    re.IGNORECASE,
)


class AmbiguousDate(ValueError):
    """Day and month could be either way round."""


def parse_date(value: object, *, day_first: bool | None = None) -> date | datetime | None:
    """Parse a cell with a date, possibly with a time; None if the date is an empty one.

    Midnight without a zone is a date alone, as spreadsheets and databases write one. Dates with
    dots have the day first. Of those with slashes or hyphens, `day_first` decides unless only one
    reading is a date; a four-digit number in front is the year.

    Raises:
        AmbiguousDate: both readings are dates, and `day_first` is None.
        ValueError: it is no date.
    """
    found = _of_type(value) or _of_text(str(value).strip(), day_first=day_first)
    if found is None or found.date() <= _LAST_EMPTY:
        return None
    is_date = found.tzinfo is None and found.time() == time()
    return found.date() if is_date else found


def says_day_first(value: object) -> bool | None:
    """Whether a cell is a date that has the day first; None if it does not tell."""
    numbers = _NUMBERS.match(value.strip()) if isinstance(value, str) else None
    if numbers is None or numbers[2] not in "/-" or len(numbers[1]) > 2:
        return None
    first, second = int(numbers[1]), int(numbers[3])
    return first > 12 if (first > 12) != (second > 12) else None


def _of_type(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, time):  # Excel's day 0
        return datetime.combine(_EXCEL_EPOCH, value)
    if isinstance(value, date):
        return datetime.combine(value, time())
    return None


def _of_text(text: str, *, day_first: bool | None) -> datetime | None:
    text = unicodedata.normalize("NFC", text)
    if not text.strip(_ZEROS):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if _SERIAL.fullmatch(text):
        return _EXCEL_EPOCH + timedelta(seconds=round(float(text) * 86_400))
    text = _EAST_ASIAN.sub(r"\1-\2-\3 ", text)
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
    return _at(datetime(year, month, day), rest.lstrip(" .,T").rstrip(" .,"))


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
    """The number of a month.

    Raises:
        ValueError: none has such a name.
    """
    folded = name.casefold()
    for number, beginnings in enumerate(_MONTHS, 1):
        if folded.startswith(tuple(beginnings.split())):
            return number
    raise ValueError("no month")


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
        zone = datetime.strptime(
            found[5].upper().replace("UTC", "Z").replace("GMT", "Z"), "%z"
        ).tzinfo
    return day.replace(hour=hour, minute=int(found[2]), second=int(found[3] or 0), tzinfo=zone)
