"""The options of `petsearch ingest`."""

from pathlib import Path
from typing import Annotated

import typer


def _path(words: str) -> Path:
    if not words.strip():  # as of "$FOLDER" that is not set; Path makes the current folder of it
        raise typer.BadParameter("a path is empty")
    return Path(words)


Paths = Annotated[
    list[Path] | None, typer.Argument(help="Photos and folders.", parser=_path, metavar="PATHS")
]
Dataset = Annotated[
    str, typer.Option(help="Hugging Face data set: a folder, or a hub name the server reads.")
]
Split = Annotated[str, typer.Option(help="Split of the data set.")]
LabelColumn = Annotated[str, typer.Option(help="Column that holds the breed.")]
Labels = Annotated[bool, typer.Option("--labels/--no-labels", help="Whether to read the breeds.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after this many photos.")]
Archive = Annotated[Path | None, typer.Option(help="A zip or tar of photos.")]
Manifest = Annotated[
    Path | None, typer.Option(help="A CSV, JSONL or XLSX file of photos and their metadata.")
]
Table = Annotated[
    Path | None,
    typer.Option(help="A CSV, JSONL or XLSX file that describes the photos by their files' names."),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=FIELD", help="What a column of the table holds; NAME= leaves it out."
    ),
]
S3 = Annotated[str, typer.Option(help="bucket/prefix on the server's S3.")]
Urls = Annotated[
    Path | None, typer.Option(help="A file with one URL per line; # begins a comment.")
]
Drawings = Annotated[int, typer.Option(min=0, help="Number of the demo's drawings.")]
ExifDates = Annotated[
    bool,
    typer.Option("--exif-dates/--no-exif-dates", help="Whether dates in photos' files are used."),
]
Gps = Annotated[
    bool, typer.Option("--gps", help="Read places from photos and from files beside them.")
]
Status = Annotated[str, typer.Option(help="Status of all uploaded photos.")]
AnimalId = Annotated[str, typer.Option(help="Animal of all uploaded photos.")]
Tag = Annotated[list[str] | None, typer.Option(help="Tag of all uploaded photos; may be repeated.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Attribute of all uploaded photos."),
]
AnimalFromFolder = Annotated[
    bool, typer.Option("--animal-from-folder", help="Name the animal by a photo's folder.")
]
Wait = Annotated[bool, typer.Option(help="Wait until the server has read all photos.")]
