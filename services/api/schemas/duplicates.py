"""The answer of `GET /v1/duplicates`, as pydantic models."""

from typing import Self

from pydantic import BaseModel, Field

from petsearch.catalogue import GroupPage
from petsearch.domain import ImageRecord, ItemRef
from services.api.schemas.common import ImageBody, View, image_fields


class DuplicateBody(ImageBody):
    """An image with the items that brought its very bytes, the first 20 of them."""

    sources: list[ItemRef]

    @classmethod
    def of(cls, record: ImageRecord, view: View) -> Self:
        """From a record; see `ImageRecord.species_source`."""
        return cls(**image_fields(record, view), sources=list(record.sources))


class Copies(BaseModel):
    """Other images that show the same photo, resized or recompressed; nearest first."""

    items: list[DuplicateBody]


class GroupBody(BaseModel):
    """Images that are alike, newest first. In the tier `exact` it is one, with its sources."""

    images: list[DuplicateBody]


class DuplicatePage(BaseModel):
    """Groups, by their newest images."""

    items: list[GroupBody]
    next_cursor: str | None = Field(
        description="Asks for more. A page may hold fewer than `limit`, even none, before the end."
    )

    @classmethod
    def of(cls, page: GroupPage, view: View) -> Self:
        """From a page of groups."""
        items = [
            GroupBody(images=[DuplicateBody.of(record, view) for record in group])
            for group in page.groups
        ]
        return cls(items=items, next_cursor=page.next_cursor)
