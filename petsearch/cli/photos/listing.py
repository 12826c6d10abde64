"""How commands list photos: a row each, with a link to the page that shows it."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from petsearch.cli.output import is_terminal, print_line, print_message, print_picture, print_table
from petsearch.cli.photos.ids import SHOWN_CHARACTERS
from petsearch.cli.photos.thumbnails import protocol_of

if TYPE_CHECKING:
    from petsearch.domain import JsonDict

_HEADERS = ("breed", "status", "animal", "place", "file")
_MARKS = {"predicted": "?", "unsure": "??"}
_PLACE_DIGITS = 5
"""After the point: one metre."""


def print_images(
    images: Sequence["JsonDict"],
    address: str,
    own: Mapping[str, Sequence[str]] | None = None,
    *,
    empty: str,
    thumbnail_of: Callable[[str], bytes] | None = None,
) -> None:
    """Print photos as a table; a terminal gets short ids, and the links below.

    Args:
        address: of the server.
        own: columns of the command before the others, by their headers; a cell per photo.
        empty: the line that is printed if there are none.
        thumbnail_of: fetches a picture by its id, for terminals that show pictures.
    """
    own = own or {}
    headers = (*own, *_HEADERS)
    rows = [
        (*(cells[number] for cells in own.values()), *_cells(image))
        for number, image in enumerate(images)
    ]
    ids = [image["image_id"] for image in images]
    links = [link_to(address, image_id) for image_id in ids]
    if not is_terminal():
        with_links = [(*row, *more) for row, *more in zip(rows, ids, links, strict=True)]
        print_table((*headers, "image_id", "link"), with_links, empty=empty)
        return
    shown = [(*row, _short(image_id)) for row, image_id in zip(rows, ids, strict=True)]
    print_table((*headers, "image_id"), shown, empty=empty)
    picture_of = protocol_of(os.environ) if thumbnail_of else None
    for image_id, link in zip(ids, links, strict=True):
        if thumbnail_of and picture_of:
            from petsearch.domain.errors import PetsearchError

            with suppress(PetsearchError):  # such as one that was deleted meanwhile
                print_picture(picture_of(thumbnail_of(image_id)))
        print_line(f"{_short(image_id)}  {link}")


def _short(image_id: str) -> str:
    return image_id[:SHOWN_CHARACTERS]


def print_image(image: "JsonDict", address: str) -> None:
    """Print what is known about a photo, a line each."""
    attributes = ", ".join(f"{name}={value}" for name, value in image["attributes"].items())
    species, is_unsure = image["species"] or "unknown", image["species_source"] == "unsure"
    shown = {
        "image_id": image["image_id"],
        "link": link_to(address, image["image_id"]),
        "file": image["filename"],
        "came from": image["source_path"],
        "species": species + (_MARKS["unsure"] if is_unsure else ""),
        "breed": breed_of(image),
        "status": image["status"],
        "animal": image["animal_id"],
        "tags": ", ".join(image["tags"]),
        "attributes": attributes,
        "taken": image["taken_at"],
        "place": place_of(image),
        "size": f"{image['width']} x {image['height']}",
        "added": image["created_at"],
        "changed": image["updated_at"],
    }
    for name, value in shown.items():
        if value:
            print_line(f"{name:<10}  {value}".replace("\n", r"\n"))


def print_unknown(answer: "JsonDict") -> None:
    """Name what filters of an answer ask for and no photo has."""
    for name in answer["unknown"]:
        meant = f" Did you mean {name['did_you_mean']}?" if name["did_you_mean"] else ""
        print_message(
            f"No photo has the {name['field'].removeprefix('not_')} {name['value']}.{meant}"
        )


def link_to(address: str, image_id: str) -> str:
    """Where the page shows a photo."""
    return f"{address}/?photo={image_id}"


def breed_of(image: "JsonDict") -> str:
    """The breed, marked if it is a guess."""
    return (image["breed"] or "unknown") + _MARKS.get(image["breed_source"], "")


def place_of(image: "JsonDict") -> str:
    """Latitude and longitude, and the distance if a filter asked for photos near a place."""
    if image["location"] is None:
        return ""
    place = ",".join(f"{round(image['location'][name], _PLACE_DIGITS)}" for name in ("lat", "lon"))
    metres = image.get("distance_m")
    return place if metres is None else f"{place} ({metres / 1000:.1f} km)"


def _cells(image: "JsonDict") -> tuple[str, ...]:
    words = (image["status"] or "", image["animal_id"] or "", place_of(image), image["filename"])
    return breed_of(image), *words
