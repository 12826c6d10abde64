"""Reads the tables that people keep beside their photos: CSV, JSONL and Excel workbooks.

`open_table` opens one and iterates over its rows, `RowColumns` tells which columns mean what, and
`places_of` and `read_metadata` read a row by them. What a table cannot say costs a cell, or a row.
"""

from petsearch.tables.cells import read_metadata
from petsearch.tables.columns import (
    ColumnMap,
    Columns,
    check_columns,
    check_fields,
    has_places,
    map_columns,
)
from petsearch.tables.day_orders import DayOrders
from petsearch.tables.opening import open_table
from petsearch.tables.places import Place, places_of
from petsearch.tables.row_columns import RowColumns
from petsearch.tables.table import Row, Table
from petsearch.tables.url_lines import read_urls

__all__ = [
    "ColumnMap",
    "Columns",
    "DayOrders",
    "Place",
    "Row",
    "RowColumns",
    "Table",
    "check_columns",
    "check_fields",
    "has_places",
    "map_columns",
    "open_table",
    "places_of",
    "read_metadata",
    "read_urls",
]
