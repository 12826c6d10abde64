"""Dates in tables, as programs and people write them."""

import io
from datetime import UTC, date, datetime, time

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


@pytest.mark.parametrize(
    "written",
    [
        *("0000-00-00", "0000-00-00 00:00:00", "00/00/0000", "00.00.0000", "1899-12-30"),
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
    ["yesterday", "2026", "31.02.2026", "17.13.2026", "17/13/2026", "12345678901", "5 May"],
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
