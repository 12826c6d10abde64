"""Dates and times as people state them, and the time zone that they mean by them."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import StrEnum

_DATE_ALONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Precision(StrEnum):
    """How much of a time is known."""

    DAY = "day"
    """The day; its time is midnight, where it was stated."""
    LOCAL = "local"
    """The time on the clock, but not the zone, for which the server's is taken."""
    INSTANT = "instant"
    """The time and its zone."""


def precision_of(stated: date) -> Precision:
    """The precision of a date without a time, and of a time without or with a zone."""
    if not isinstance(stated, datetime):
        return Precision.DAY
    return Precision.LOCAL if stated.tzinfo is None else Precision.INSTANT


def time_of(stated: date) -> datetime:
    """A time as it is, and the midnight of a date alone."""
    return stated if isinstance(stated, datetime) else datetime.combine(stated, time())


def day_in(text: object) -> date | None:
    """The day in a text such as `2026-05-17`; None if it is anything else."""
    if not isinstance(text, str) or not _DATE_ALONE.fullmatch(text.strip()):
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:  # February has no 30th
        return None


def has_instant(stated: datetime) -> bool:
    """Whether UTC can express the time; without a zone, whatever the zone."""
    hours = (14, -12) if stated.tzinfo is None else ()
    zoned = [stated.replace(tzinfo=timezone(timedelta(hours=one))) for one in hours] or [stated]
    try:
        return all(one.astimezone(UTC) for one in zoned)
    except OverflowError:
        return False


def bound_in(stated: datetime, zone: tzinfo) -> datetime:
    """Like `in_zone`; beyond the times that UTC has, the first or the last of them."""
    zoned = in_zone(stated, zone)
    if has_instant(zoned):
        return zoned
    return (datetime.min if zoned.year == 1 else datetime.max).replace(tzinfo=UTC)


def in_zone(stated: datetime, zone: tzinfo) -> datetime:
    """A time with the offset that `zone` has then, unless it has its own.

    Offsets are whole minutes, as RFC 3339 writes them; those before standard time are cut.
    """
    zoned = stated if stated.tzinfo is not None else stated.replace(tzinfo=zone)
    offset = zoned.utcoffset() or timedelta()
    minutes = timedelta(minutes=int(offset / timedelta(minutes=1)))
    return stated.replace(tzinfo=timezone(minutes) if minutes else UTC)
