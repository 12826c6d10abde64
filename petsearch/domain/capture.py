"""When and where a photo was taken, as its file or a file beside it states it."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from petsearch.domain.dates import Precision, in_zone, precision_of, time_of

_TIME = re.compile(
    r"(\d{4})[-:/.](\d{1,2})[-:/.](\d{1,2})"
    r"(?:[ T]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,]\d*)?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)
_FIRST_YEAR = 1826
"""Of the oldest photo there is."""
_EPOCH = datetime(1970, 1, 1)
_LEAP_SECOND = 60
_MOST_AHEAD = timedelta(hours=14)
"""How far local time is ahead of UTC at most."""


@dataclass(frozen=True)
class Capture:
    """When and where a photo was taken; None for what is not known."""

    taken_at: date | datetime | None = None
    """A date if only the day is known; a time without a zone if the zone is not."""
    location: tuple[float, float] | None = None
    """Latitude and longitude in degrees (WGS 84)."""


NOT_STATED = Capture()


def parse_time(text: str, *offsets: str) -> date | datetime | None:
    """A time as EXIF or XMP write it, or a date; None if it is blank, zero or impossible.

    Of 24:00 and of a leap second the date is left.

    Args:
        offsets: from UTC, such as `+02:00`; the first valid one counts, unless `text` has one.
    """
    found = _TIME.fullmatch(text.strip(" \t\r\n\0"))
    if found is None:
        return None
    numbers = (int(number or 0) for number in found.groups()[:-1])
    year, month, day, hour, minute, second = numbers
    is_between = (hour, minute, second) == (24, 0, 0) or second == _LEAP_SECOND
    try:
        time = datetime(year, month, day, *((0,) if is_between else (hour, minute, second)))
    except ValueError:
        return None
    # A clock that was never set starts there.
    if time == _EPOCH or time.year < _FIRST_YEAR:
        return None
    zones = map(_zone, (found.groups()[-1] or "", *offsets))
    time = time.replace(tzinfo=next((zone for zone in zones if zone is not None), None))
    return time.date() if found[4] is None or is_between else time


def _zone(offset: str) -> timezone | None:
    offset = offset.strip(" \0").upper()
    if offset == "Z":
        return UTC
    found = _OFFSET.fullmatch(offset)
    if found is None:
        return None
    sign, hours, minutes = found.groups()
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    if distance > _MOST_AHEAD:
        return None
    return timezone(-distance if sign == "-" else distance)


def is_in_future(stated: date, now: datetime) -> bool:
    """Whether a photo cannot have been taken then; without a zone, wherever on Earth."""
    time = time_of(stated)
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC) > now + _MOST_AHEAD
    return time > now


def recorded_date(
    capture: Capture, now: datetime, zone: tzinfo
) -> tuple[datetime, Precision] | tuple[None, None]:
    """The date that a record takes from its file, with its precision; none if it cannot be right.

    Args:
        zone: of a date that names none.
    """
    stated = capture.taken_at
    if stated is None or is_in_future(stated, now):
        return None, None
    return in_zone(time_of(stated), zone), precision_of(stated)


def valid_location(latitude: float, longitude: float) -> tuple[float, float] | None:
    """A place in degrees, rounded to a centimetre; None if it is invalid, or 0, 0: no place."""
    is_valid = abs(latitude) <= 90 and abs(longitude) <= 180  # false for NaN
    place = (round(latitude, 7), round(longitude, 7))
    return place if is_valid and place != (0, 0) else None
