"""The plain form fields of a photo: what is true of an upload, and what a search asks for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form
from pydantic import BeforeValidator

from petsearch.domain import Filters
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import PhotoMetadata, ShortText
from petsearch.domain.strict_model import without_nothing
from petsearch.domain.visible_text import is_blank
from services.api.filter_parameters import ANY, MOST_VALUES, NONE, Missing, Values, as_tuples
from services.api.schemas.common import parse_metadata


def blank_as(default: object) -> BeforeValidator:
    """Take a blank form field for one that is left out."""
    return BeforeValidator(lambda v: default if isinstance(v, str) and is_blank(v) else v)


Word = Annotated[ShortText | None, Form()]


@dataclass(frozen=True)
class PhotoFields:
    """The fields that were given."""

    fields: Mapping[str, Any]
    """By the names of `PhotoMetadata`."""


async def _photo_fields(
    species: Word = None,
    breed: Word = None,
    status: Word = None,
    animal_id: Word = None,
    tag: Annotated[
        list[ShortText] | None, Form(max_length=MOST_VALUES, description="May be repeated.")
    ] = None,
) -> PhotoFields:
    words = {"species": species, "breed": breed, "status": status, "animal_id": animal_id}
    return PhotoFields(without_nothing({**words, "tags": without_nothing(tag or [])}))


PhotoFieldsDep = Annotated[PhotoFields, Depends(_photo_fields)]
_Words = Annotated[Values | None, Form(description=ANY)]
_NotWords = Annotated[Values | None, Form(description=NONE)]


async def _photo_filters(
    species: _Words = None,
    breed: _Words = None,
    status: _Words = None,
    animal_id: _Words = None,
    not_species: _NotWords = None,
    not_breed: _NotWords = None,
    not_status: _NotWords = None,
    not_animal_id: _NotWords = None,
    not_tag: _NotWords = None,
    missing: Annotated[Missing | None, Form()] = None,
    tag: Annotated[
        list[ShortText] | None, Form(max_length=MOST_VALUES, description="All of them.")
    ] = None,
) -> Filters:
    lists = {
        **{"species": species, "breed": breed, "status": status, "animal_id": animal_id},
        **{"not_species": not_species, "not_breed": not_breed, "not_status": not_status},
        **{"not_animal_id": not_animal_id, "not_tags": not_tag, "missing": missing, "tags": tag},
    }
    return Filters(**as_tuples(lists))


PhotoFiltersDep = Annotated[Filters, Depends(_photo_filters)]


@dataclass(frozen=True)
class Descriptions:
    """What an upload says about its photos."""

    metadata: str | None
    plain: PhotoFields

    def of_each(self, count: int) -> list[PhotoMetadata]:
        """The metadata of `count` photos; plain fields are true of all of them.

        Raises:
            InvalidInput: the field `metadata` is invalid, or a plain field is in it, too.
        """
        entries = parse_metadata(self.metadata, count)
        in_metadata = {name for entry in entries for name in entry.model_fields_set}
        twice = in_metadata & self.plain.fields.keys()
        if twice:
            raise InvalidInput(f"{min(twice)} is in metadata and beside it; give it once.")
        return [entry.model_copy(update=self.plain.fields) for entry in entries]


async def _descriptions(
    plain: PhotoFieldsDep,
    metadata: Annotated[
        str | None,
        Form(
            description="JSON: one object for all photos, or a list with one for each.",
            examples=['{"species": "cat", "animal_id": "shelter-17", "tags": ["indoor"]}'],
        ),
    ] = None,
) -> Descriptions:
    return Descriptions(metadata, plain)


DescriptionsDep = Annotated[Descriptions, Depends(_descriptions)]
