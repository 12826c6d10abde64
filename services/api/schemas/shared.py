"""Shared searches over HTTP, as pydantic models."""

from datetime import datetime

from pydantic import BaseModel, Field


class SharedSearchBody(BaseModel):
    """A search by photo that is shared."""

    share_id: str
    expires_at: datetime = Field(description="It is not found from then on.")
    photo: str = Field(description="Where the copy of the photo is, relative to this server.")


class MadeShare(SharedSearchBody):
    """A search that was just shared."""

    url: str = Field(description="Where the page shows it, relative to this server.")
    delete_token: str = Field(description="Deletes it before it expires; told only here.")
