"""Dates as spreadsheets, cameras and people write them."""

import re
import unicodedata
from datetime import date, datetime, time, timedelta, tzinfo
from re import Match

from petsearch.domain.visible_text import MOST_COMPOSED

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
_NUMBERS = re.compile(r"(\d{1,4})([-/:]|\. ?)(\d{1,2})\2(\d{1,4})")
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
_OFFSET = r"(?:UTC|GMT) ?[-+]\d{1,2}(?::?\d\d)?|[-+]\d\d:?\d\d|Z|UTC|GMT"
_ABBREVIATION = r"(?-i:[A-Z]{2,3}[TZ])"
"""Of a zone. It tells no offset, as several zones can share one: CST is that of three."""
_TIME = re.compile(
    r"(?:(?:at|um|à|às|a las?|alle(?: ore)?|ore|om) )?"
    r"(\d{1,2})[:h](\d{2})(?::(\d{2})(?:[.,]\d+)?)?(?: *([ap])\.? ?m\.?| *Uhr)?"
    rf" *(?:({_OFFSET})(?: ?\(.*\)|\[.*\])?|{_ABBREVIATION}|\({_ABBREVIATION}\))?",
    re.IGNORECASE,
)
"""After an offset, a zone's name in brackets says nothing more."""
_SOME_TIME = re.compile(r"\D+\d{1,2}[:h]\d{2}(?::\d{2}(?:[.,]\d+)?)?\D*")
"""A time among words, such as those for morning and afternoon, and no other number."""


class AmbiguousDate(ValueError):
    """Day and month could be either way round."""


def parse_date(value: object, *, day_first: bool | None = None) -> date | datetime | None:
    """Parse a cell with a date, possibly with a time; None if the date is an empty one.

    Midnight without a zone is a date alone, as spreadsheets and databases write one; so is a date
    with a time that cannot be read. A time with a zone's abbreviation is one without a zone. Dates
    with dots have the day first. Of those with slashes or hyphens, `day_first` decides unless only
    one reading is a date; a four-digit number in front is the year.

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
    text = unicodedata.normalize("NFC", text[:MOST_COMPOSED])
    if not text.strip(_ZEROS):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    text = " ".join(text.split())
    if _SERIAL.fullmatch(text):
        return _EXCEL_EPOCH + timedelta(seconds=round(float(text) * 86_400))
    text = _EAST_ASIAN.sub(r"\1-\2-\3 ", text)
    if found := _NUMBERS.match(text):
        year, month, day = _of_numbers(found, day_first=day_first)
    elif found := _DAY_MONTH.match(text):
        year, month, day = _year(found[3]), _month(found[2]), int(found[1])
    elif found := _MONTH_DAY.match(text):
        year, month, day = _year(found[3]), _month(found[1]), int(found[2])
    else:
        raise ValueError("no date")
    if 0 in (year, month, day):
        return None
    date_only, rest = datetime(year, month, day), text[found.end() :]
    try:
        return _at(date_only, rest.lstrip(" .,T").rstrip(" .,"))
    except ValueError:
        # A year of two digits could be an hour: `17 May 14:30:00`.
        if re.search(r"\d{4}", found[0]) and _SOME_TIME.fullmatch(rest):
            return date_only
        raise


def _of_numbers(found: Match[str], *, day_first: bool | None) -> tuple[int, int, int]:
    """Year, month and day."""
    first, second = int(found[1]), int(found[3])
    if len(found[1]) > 2:
        return first, second, int(found[4])
    year = _year(found[4])
    if found[2].startswith(".") or first > 12 or first == second:
        return year, second, first
    if second > 12:
        return year, first, second
    if day_first is None and first and second:
        raise AmbiguousDate(found[0])
    return (year, second, first) if day_first else (year, first, second)


def _year(text: str) -> int:
    """A year; one with two digits is one of 1969 to 2068, as POSIX has it."""
    year = int(text)
    if len(text) != 2:
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
    """A day at the time of a text, or at midnight if it is empty.

    Raises:
        ValueError: the text is no time.
    """
    if not text:
        return day
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time")
    hour = int(found[1])
    if found[4]:
        hour = hour % 12 + (12 if found[4] in "pP" else 0)
    zone = _zone(found[5]) if found[5] else None
    return day.replace(hour=hour, minute=int(found[2]), second=int(found[3] or 0), tzinfo=zone)


def _zone(offset: str) -> tzinfo | None:
    """The zone of an offset such as `Z`, `GMT+2` or `+02:00`."""
    sign, digits = re.sub("[^-+]", "", offset), re.sub(r"\D", "", offset)
    hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "")
    return datetime.strptime(f"{sign or '+'}{hours:0>2}{minutes:0>2}", "%z").tzinfo
