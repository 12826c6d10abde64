"""The answer of `GET /v1/duplicates`, as pydantic models."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel, Field

from petsearch.catalogue import Group, GroupPage
from petsearch.domain import ImageRecord
from services.api.schemas.common import ImageBody


class SourceBody(BaseModel):
    """An item that brought the image."""

    job_id: str
    item_no: int


class DuplicateBody(ImageBody):
    """An image with the items that brought its very bytes, the first 20 of them."""

    sources: list[SourceBody]

    @classmethod
    def of(cls, record: ImageRecord) -> Self:
        """From a record."""
        sources = [SourceBody(job_id=ref.job_id, item_no=ref.item_no) for ref in record.sources]
        return cls(**ImageBody.of(record).model_dump(), sources=sources)


class Copies(BaseModel):
    """Other images that show the same photo, resized or recompressed; nearest first."""

    items: list[DuplicateBody]

    @classmethod
    def of(cls, records: Iterable[ImageRecord]) -> Self:
        """From records."""
        return cls(items=[DuplicateBody.of(record) for record in records])


class GroupBody(BaseModel):
    """Images that are alike, newest first. In the tier `exact` it is one, with its sources."""

    images: list[DuplicateBody]

    @classmethod
    def of(cls, group: Group) -> Self:
        """From a group."""
        return cls(images=[DuplicateBody.of(record) for record in group.records])


class DuplicatePage(BaseModel):
    """Groups, by their newest images."""

    items: list[GroupBody]
    next_cursor: str | None = Field(
        description="Asks for more. A page may hold fewer than `limit`, even none, before the end."
    )

    @classmethod
    def of(cls, page: GroupPage) -> Self:
        """From a page of groups."""
        items = [GroupBody.of(group) for group in page.groups]
        return cls(items=items, next_cursor=page.next_cursor)
