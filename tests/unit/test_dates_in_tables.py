"""Dates in tables, as programs and people write them."""

import io
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest

from petsearch.tables import DayOrders, has_places, map_columns, open_table, read_metadata
from petsearch.tables.dates import AmbiguousDate, parse_date
from tests.tables import rows_of, warnings_of

NOON = datetime(2026, 5, 17, 12, 30)
DAY = datetime(2026, 5, 17)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-05-17", DAY.date()),
        ("2026-5-17", DAY.date()),
        ("20260517", DAY.date()),
        ("2026/05/17", DAY.date()),
        ("2026.05.17.", DAY.date()),
        ("17.05.2026", DAY.date()),
        ("17.5.26", DAY.date()),
        ("17.05.00", date(2000, 5, 17)),
        ("17 May 00", date(2000, 5, 17)),
        ("17/05/2026", DAY.date()),
        ("5/17/2026", DAY.date()),
        ("5/17/26", DAY.date()),
        ("17-05-2026", DAY.date()),
        ("17 May 2026", DAY.date()),
        ("17-May-26", DAY.date()),
        ("May 17, 2026", DAY.date()),
        ("Sunday, May 17, 2026", DAY.date()),
        ("17. May 2026", DAY.date()),
        ("17. Mai 2026", DAY.date()),
        ("1. März 2026", date(2026, 3, 1)),
        ("17 de mayo de 2026", DAY.date()),
        ("1er août 2026", date(2026, 8, 1)),
        ("17 juillet 2026", date(2026, 7, 17)),
        ("17 juin 2026", date(2026, 6, 17)),
        ("May 17th, 2026", DAY.date()),
        ("17May2026", DAY.date()),
        ("2026年5月17日", DAY.date()),
        ("2026年5月17日12:30", NOON),
        ("17. Ma\u0308rz 2026", date(2026, 3, 17)),
        ("17. Maerz 2026", date(2026, 3, 17)),
        ("17 aout 2026", date(2026, 8, 17)),
        ("17.05.2026 12:30 Uhr", NOON),
        ("17/05/2026 12h30", NOON),
        ("Sunday May 17,2026 12:30 PM GMT", NOON.replace(tzinfo=UTC)),
        ("46159", DAY.date()),
        (46159, DAY.date()),
        (46159.520833333336, NOON),
        (date(2026, 5, 17), DAY.date()),
        (NOON, NOON),
        ("2026:05:17 12:30:00", NOON),
        ("17.05.2026 12:30", NOON),
        ("17.05.2026, 12:30:00", NOON),
        ("5/17/2026 12:30 PM", NOON),
        ("5/17/2026 12:30:00.000 p.m.", NOON),
        ("5/17/2026 0:05 AM", DAY.replace(minute=5)),
        ("2026-05-17T12:30:00Z", NOON.replace(tzinfo=UTC)),
        ("2026/05/17 12:30:00 +00:00", NOON.replace(tzinfo=UTC)),
        ("17.05.2026 12:30 UTC", NOON.replace(tzinfo=UTC)),
        ("5/5/2026", date(2026, 5, 5)),
        ("05.06.2026", date(2026, 6, 5)),
    ],
)
def test_dates_are_read_as_programs_write_them(written: object, meant: date) -> None:
    assert parse_date(written) == meant


AFTERNOON = datetime(2026, 5, 17, 14, 30)
SUMMER_TIME = AFTERNOON.replace(tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5/17/2026, 2:30:00\u202fPM", AFTERNOON),
        ("May 17, 2026 at 2:30 PM", AFTERNOON),
        ("17/05/2026 02:30:00 p. m.", AFTERNOON),
        ("17/05/2026 02:30:00 p.\xa0m.", AFTERNOON),
        ("17/05/2026 à 14h30", AFTERNOON),
        ("17.\xa0Mai\t2026 um  14:30 Uhr", AFTERNOON),
        ("17 de mayo de 2026, a las 14:30", AFTERNOON),
        ("17 maggio 2026 alle ore 14:30", AFTERNOON),
        ("17 de maio de 2026 às 14:30", AFTERNOON),
        ("17 mei 2026 om 14:30", AFTERNOON),
        ("2026. 05. 17. 14:30", AFTERNOON),
        ("17. 5. 2026", DAY.date()),
        ("2026/05/17 2:30:00 PM GMT+2", SUMMER_TIME),
        ("2026-05-17 14:30 UTC +02:00", SUMMER_TIME),
        ("2026/05/17 6:00:00 PM GMT+5:30", SUMMER_TIME),
        ("Sun May 17 2026 14:30:00 GMT+0200 (CEST)", SUMMER_TIME),
        ("Sun May 17 2026 14:30:00 GMT+0200 (Central European Summer Time)", SUMMER_TIME),
        ("2026-05-17T12:30Z[UTC]", SUMMER_TIME),
    ],
)
def test_dates_are_read_as_browsers_and_forms_write_them(written: str, meant: date) -> None:
    assert parse_date(written) == meant


@pytest.mark.parametrize("zone", ["CEST", "(CEST)", "MEZ", "PST"])
def test_a_time_with_the_abbreviation_of_a_zone_is_one_without(zone: str) -> None:
    assert parse_date(f"2026-05-17 14:30 {zone}") == AFTERNOON


@pytest.mark.parametrize(
    "written",
    [
        *("17.05.2026 24:00", "17.05.2026 12:61", "2026-05-17T14:30:00[Europe/Berlin]"),
        *("2026년 5월 17일 오후 2:30", "2026/5/17 下午2:30", "17 May 2026, 2:30 in the afternoon"),
    ],
)
def test_a_time_that_cannot_be_read_leaves_the_day(written: str) -> None:
    assert parse_date(written) == DAY.date()


@pytest.mark.parametrize(
    "written",
    [
        *("0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "00.00.0000", "1899-12-30"),
        *("00/00/00", "00.00.00"),
        *("1899-12-30T00:00:00", "1900-01-00", "1/0/1900", "30.12.1899", "12/30/1899"),
        *("1900-01-01", "1/1/1900", "0001-01-01", "01/01/0001 00:00:00", time(0, 0)),
        *("  :  :     :  :  ", "0000:00:00 00:00:00", "0", 0, "1904-01-01"),
    ],
)
def test_empty_dates_are_none(written: object) -> None:
    assert parse_date(written) is None
    assert warnings_of(taken_at=written) == []


@pytest.mark.parametrize(
    "written",
    [
        *("yesterday", "2026", "31.02.2026", "17.13.2026", "17/13/2026", "12345678901", "5 May"),
        # An hour is no year, and the first of two days is not the one.
        *("17 May 14:30:00", "5 May 10 - 12:30", "5.7.14:30:15", "17. 5. 20:26"),
        *("17.05.2026 - 20.05.2026", "17/05/2026 14:30 - 18/05/2026 9:00", "17.05.2026 24:00 18"),
    ],
)
def test_what_is_no_date_costs_the_cell(written: str) -> None:
    with pytest.raises(ValueError):
        parse_date(written)
    ((column, detail),) = warnings_of(taken_at=written, breed="Pug")
    assert (column, detail) == (
        "taken_at",
        f"taken_at is {written!r}, which is not a date like 2026-05-17. It is left out.",
    )


def taken(*dates: str) -> list[tuple[datetime | None, list[str]]]:
    """The dates of a column, and the warnings about them."""
    table = "path,date\n" + "".join(f"{n}.jpg,{written}\n" for n, written in enumerate(dates))

    def open_again():  # type: ignore[no-untyped-def]
        return open_table(io.BytesIO(table.encode()), lambda names: has_places(names, {}))

    orders, columns = DayOrders(open_again), map_columns(["path", "date"], {})
    read = [
        read_metadata(row.cells, columns, "a.jpg", day_first=orders.find) for row in rows_of(table)
    ]
    return [(metadata.taken_at, [w.detail for w in warnings]) for metadata, warnings in read]


def test_ambiguous_dates_are_decided_by_their_column() -> None:
    assert taken("3/5/2026", "5/17/2026") == [(datetime(2026, 3, 5), []), (DAY, [])]
    assert taken("3/5/2026", "17/5/2026") == [(datetime(2026, 5, 3), []), (DAY, [])]
    with pytest.raises(AmbiguousDate):
        parse_date("3/5/2026")


@pytest.mark.parametrize("others", [["4/6/2026"], ["17/5/2026", "5/17/2026"]])
def test_dates_that_nothing_decides_are_left_out(others: list[str]) -> None:
    found, (detail,) = taken("3/5/2026", *others)[0]
    assert found is None
    assert "date is '3/5/2026', which could be of two months" in detail
