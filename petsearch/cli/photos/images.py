"""The commands under `petsearch images`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from petsearch.cli.connection import Api, address_of, connect
from petsearch.cli.output import Json, confirm, print_json, print_message
from petsearch.cli.photos import filter_options as given
from petsearch.cli.photos.ids import ImageId, find_id
from petsearch.cli.photos.image_changes import changes_of
from petsearch.cli.photos.listing import print_image, print_images, print_unknown

if TYPE_CHECKING:
    from petsearch.client import Client
    from petsearch.domain import JsonDict

app = typer.Typer(
    help="List, show, change and delete photos.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Text = Annotated[str | None, typer.Option()]
_MOST_AT_A_TIME = 100
_SHOWN_NAMES = 5


@app.command(name="list")
def list_images(
    *,
    limit: Annotated[int, typer.Option(min=1, help="Number of photos.")] = 20,
    species: given.Species = None,
    breed: given.Breed = None,
    status: given.Status = None,
    animal_id: given.AnimalId = None,
    not_species: given.NotSpecies = None,
    not_breed: given.NotBreed = None,
    not_status: given.NotStatus = None,
    not_animal_id: given.NotAnimalId = None,
    not_tag: given.NotTag = None,
    missing: given.Missing = None,
    tag: given.Tag = None,
    near: given.NearPlace = None,
    since: given.Since = None,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """List photos without a query, the newest first."""
    filters = given.given_of(
        **{"species": species, "breed": breed, "status": status, "animal_id": animal_id},
        **{"not_species": not_species, "not_breed": not_breed, "not_status": not_status},
        **{"not_animal_id": not_animal_id, "not_tag": not_tag, "missing": missing, "tag": tag},
        **{"near": near, "since": since},
    )
    with connect(api) as client:
        pages = [*_pages(client, limit, filters)]
    images = [image for page in pages for image in page["items"]]
    if as_json:
        print_json({**pages[-1], "items": images})
        return
    print_unknown(pages[0])
    added = [image["created_at"][:10] for image in images]
    print_images(images, address_of(api), {"added": added}, empty="Nothing was found.")


@app.command()
def show(image_id: ImageId, *, api: Api = None, as_json: Json = False) -> None:
    """Show what is known about a photo."""
    with connect(api) as client:
        image = client.image(find_id(client, image_id))
    if as_json:
        print_json(image)
    else:
        print_image(image, address_of(api))


@app.command(name="set")
def set_(
    image_id: ImageId,
    *,
    breed: Text = None,
    species: Text = None,
    status: Annotated[str | None, typer.Option(help="Such as lost, found or adopted.")] = None,
    animal_id: Text = None,
    filename: Text = None,
    taken_at: Annotated[
        str | None,
        typer.Option(parser=given.day_or_time, metavar="DATE", help="A day or a time."),
    ] = None,
    place: Annotated[
        dict[str, float] | None, typer.Option(parser=given.place, metavar="LAT,LON")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Replaces all tags; may be repeated.")
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An attribute; NAME= removes it."),
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD", help="Such as status, tags or location; may be repeated."),
    ] = None,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Change what is said about a photo. What is not named stays."""
    fields = {"breed": breed, "species": species, "status": status, "animal_id": animal_id}
    fields |= {"filename": filename, "taken_at": taken_at}
    changes = changes_of(fields, place=place, tags=tag, attributes=attributes, clear=clear)
    with connect(api) as client:
        image = client.change_image(find_id(client, image_id), changes)
    if as_json:
        print_json(image)
    else:
        print_image(image, address_of(api))


@app.command()
def delete(
    image_ids: Annotated[
        list[str] | None, typer.Argument(help="As listed, or their first 4 characters or more.")
    ] = None,
    *,
    animal_id: Annotated[str | None, typer.Option(help="All photos of this animal.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    api: Api = None,
) -> None:
    """Delete photos with their files, or all photos of an animal. Asks first."""
    if bool(image_ids) == bool(animal_id):
        raise typer.BadParameter("give either ids or --animal-id")
    with connect(api) as client:
        if animal_id:
            confirm(f"Delete all photos of the animal {animal_id} for good?", yes=yes)
            count = client.delete_images_of_animal(animal_id)
        else:
            count = _delete(client, image_ids or [], yes=yes)
    print_message(f"Photos deleted: {count}")


def _delete(client: "Client", given_ids: list[str], *, yes: bool) -> int:
    """Delete photos, all of which must be there before the first one is deleted."""
    from petsearch.domain.errors import NotFound, PetsearchError

    images = [client.image(find_id(client, one)) for one in given_ids]
    names = {image["image_id"]: image["filename"] for image in images}
    shown, more = [*names.values()][:_SHOWN_NAMES], len(names) - _SHOWN_NAMES
    others = f" and {more} more" if more > 0 else ""
    confirm(f"Delete {', '.join(shown)}{others} for good?", yes=yes)
    for done, image_id in enumerate(names):
        try:
            client.delete_image(image_id)
        except NotFound:  # somebody else has deleted it meanwhile
            continue
        except PetsearchError:
            print_message(f"Photos deleted: {done} of {len(names)}; the next is {image_id}")
            raise
    return len(names)


def _pages(client: "Client", limit: int, filters: "JsonDict") -> "Iterator[JsonDict]":
    """Pages that hold `limit` images, or all there are; at least one page."""
    cursor: str | None = None
    while limit > 0:
        most = min(limit, _MOST_AT_A_TIME)
        page = client.list_images(limit=most, cursor=cursor, **filters)
        yield page
        limit, cursor = limit - len(page["items"]), page["next_cursor"]
        if cursor is None:
            return
