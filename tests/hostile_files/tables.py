"""CSV, JSONL and parquet that are hard to read; texts have no sizes that could lie."""

import io
import json
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests import pictures
from tests.hostile_files.grammar import Number, Part, Sample, Variant

_ROWS = 2000
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def _csv(*rows: str) -> bytes:
    return "\n".join(rows).encode() + b"\n"


def csvs() -> Iterator[Variant]:
    """Quotes that do not close, columns and cells that do not end."""
    yield "a quote that is not closed", _csv("path,breed", '1.jpg,"', *["x" * 60] * 2000)
    yield "a quote in every row", _csv("path,breed", *['1.jpg,"x'] * _ROWS)
    yield "a cell of 5 MB", _csv("path,breed", "1.jpg," + "x" * 5_000_000)
    yield "a header of 5 MB", _csv("x," * 2_500_000, "1.jpg")
    yield "the same column 30,000 times", _csv("path" + ",a" * 30_000, "1.jpg")
    yield "the same column 900 times", _csv("path" + ",a" * 900, "path" + ",a" * 900, "1.jpg")
    dates = [f"da{'.' * n}te" for n in range(300)]
    cells = ["01/02/2024"] * 300
    yield "300 columns of dates", _csv(",".join(["path", *dates]), *[",".join(["1", *cells])] * 100)
    yield "9,000 paths in a cell", _csv("path,breed", '"' + "a.jpg;" * 9000 + '",pug')
    yield "20,000 cells in a row", _csv("path,breed", *["1.jpg" + "," * 20_000] * 50)
    yield "rows of nothing", _csv("path", *["," * 200] * 5000)
    yield "one byte a line", b"path\n" + b"\n" * 1_000_000
    yield "UTF-16 without an end", "path\n".encode("utf-16") + b"a\0" * 500_000 + b"x"
    yield "zeros", b"path\n" + bytes(1_000_000)
    yield "a number of 60,000 digits", _csv("path,lat,lon", "1.jpg," + "9" * 60_000 + ",1")
    yield "spaces", _csv("path,lat,lon,date", *[f"1.jpg,{' ' * 20_000}x,1,{' ' * 20_000}"] * 20)
    yield "no header", _csv(*["x"] * 100_000)


def jsonls() -> Iterator[Variant]:
    """Depth, numbers, names and lists without an end."""
    line = json.dumps
    yield (
        "60,000 lists in lists",
        b'{"path": "1.jpg", "tags": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    )
    yield "objects in objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    yield "60,000 digits", b'{"path": "1.jpg", "lat": ' + b"9" * 60_000 + b"}"
    yield "no number", b'{"path": "1.jpg", "lat": NaN, "lon": -Infinity, "breed": 1e999}\n' * 2000
    names = [line({"path": "1.jpg"} | {f"k{r}-{n}": 1 for n in range(990)}) for r in range(60)]
    yield "other names in every row", _csv(*names)
    attributes = {f"n{n}": "x" * 150 for n in range(50)}
    places = line({"path": ["a"] * 9000, "attributes": attributes})
    yield "9,000 places in a row", _csv(places)
    yield "a row of 5 MB", _csv(line({"path": "1.jpg", "breed": "x" * 5_000_000}))
    yield "1,001 names", _csv(*[line({f"k{n}": 1 for n in range(1001)} | {"path": "1"})] * 50)
    yield "no end of a text", b'{"path": "' + b"\\u0041" * 100_000
    yield "half a character", b'{"path": "\\ud800.jpg", "breed": "\\udfff"}\n' * _ROWS
    yield "lists of tags", _csv(*[line({"path": "1.jpg", "tags": ["x"] * 12_000})] * 30)
    yield "a list in a text", _csv(line({"path": "1.jpg", "tags": "[" * 60_000}))
    yield "one object", b"{" + b'"a": 1,' * 700_000 + b'"path": "1.jpg"}'
    yield "lines of nothing", b'{"path": "1.jpg"}\n' + b" \n" * 500_000


def parquet() -> Sample:
    """Two groups of rows; the numbers of its footer are of varying length, so bytes lie."""
    photos = [{"bytes": pictures.jpeg(n), "path": None} for n in range(6)]
    data = written(pa.table({"image": pa.array(photos, IMAGE)}), row_group_size=3)
    (size,) = struct.unpack("<I", data[-8:-4])
    start = len(data) - 8 - size
    numbers = [Number(len(data) - 8, 4, "little", "the footer's size")]
    numbers += [
        Number(at, 4, "little", f"the footer at {at}") for at in range(start, start + 400, 7)
    ]
    numbers += [Number(at, 2, "little", f"the page at {at}") for at in range(4, 40, 3)]
    parts = [Part(n * start // 5, (n + 1) * start // 5, f"the piece {n}") for n in range(5)]
    return Sample(data, [*parts, Part(start, len(data) - 8, "the footer")], numbers)


def hard_parquets() -> Iterator[Variant]:
    """Bombs of dictionaries and of pages."""
    yield "20 times 40 MB", written(_images(bytes(40_000_000), 20), compression="zstd")
    few = _images(bytes(40_000_000), 5).combine_chunks()
    plain = pa.table({"image": few.column("image").cast(IMAGE)})
    yield "pages of 200 MB", written(plain, use_dictionary=False, compression="zstd")
    yield "2,000 times 40 MB", written(_images(bytes(40_000_000), 2000), compression="zstd")
    yield "a million rows of nothing", written(_images(b"", 1_000_000), compression="zstd")
    many = {f"c{n}": [n] for n in range(3000)} | {"image": _images(b"x", 1).column("image")}
    yield "3,000 columns", written(pa.table(many), compression="zstd")
    rows = pa.nulls(2_000_000, IMAGE)
    yield "2 million rows of nulls", written(pa.table({"image": rows}), compression="zstd")


def _images(data: bytes, rows: int) -> pa.Table:
    """The same photo in every row, which is kept once."""
    zeros = pa.array([0] * rows, pa.int32())
    photo = pa.DictionaryArray.from_arrays(zeros, pa.array([data], pa.binary()))
    return pa.table(
        {
            "image": pa.StructArray.from_arrays(
                [photo, pa.nulls(rows, pa.string())], ["bytes", "path"]
            )
        }
    )


def written(rows: pa.Table, **options: Any) -> bytes:
    """A parquet file whose column `image` has photos, as the library `datasets` writes them."""
    features = {name: {"dtype": "int64", "_type": "Value"} for name in rows.column_names}
    told = json.dumps({"info": {"features": features | {"image": {"_type": "Image"}}}})
    file, group_rows = io.BytesIO(), options.pop("row_group_size", None)
    # Without the types of these arrays: a photo that is kept once reads as one in every row.
    with pq.ParquetWriter(file, rows.schema, store_schema=False, **options) as writer:
        writer.write_table(rows, group_rows)
        writer.add_key_value_metadata({"huggingface": told})
    return file.getvalue()
