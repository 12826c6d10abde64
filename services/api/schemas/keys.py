"""Keys and sessions over HTTP, as pydantic models."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, Field, SecretStr

from petsearch.domain.api_keys import MAX_NAME, MAX_ORIGINS, ApiKey, NewKey, Scope
from petsearch.domain.metadata import AwareTimestamp
from petsearch.domain.strict_model import StrictModel

_MOST_SCOPES = 20
"""In a list, where one may be named twice."""


class KeyRequest(StrictModel):
    """A key to make."""

    name: str = Field(min_length=1, max_length=MAX_NAME, examples=["the shelter's tablet"])
    scopes: list[Scope] = Field(
        min_length=1,
        max_length=_MOST_SCOPES,
        description="admin includes the others; one named twice counts once",
    )
    expires_at: AwareTimestamp | None = None
    origins: list[str] = Field(
        [],
        max_length=MAX_ORIGINS,
        description="binds the key to pages of these sites, where everybody can read it: it may "
        "only search, and only from them",
        examples=[["https://shelter.example"]],
    )


class KeyBody(BaseModel):
    """What is known of a key; never its secret."""

    key_id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the hour")
    revoked_at: datetime | None
    origins: list[str]

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """From the domain's key."""
        return cls(
            key_id=key.key_id,
            name=key.name,
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
            origins=list(key.origins),
        )


class MadeKey(BaseModel):
    """A key just made. Its secret is said here and never again."""

    key: KeyBody
    secret: str = Field(description="the whole key, ps_<id>_<secret>")

    @classmethod
    def of(cls, made: NewKey) -> Self:
        """From the domain's new key."""
        return cls(key=KeyBody.of(made.kept), secret=made.secret)


class KeyList(BaseModel):
    """All keys, the oldest first; revoked ones stay."""

    items: list[KeyBody]


class SessionRequest(StrictModel):
    """A key to sign in with."""

    api_key: SecretStr = Field(max_length=200)


class SessionBody(BaseModel):
    """Who the caller is."""

    keys_needed: bool = Field(description="false: whoever reaches this server may do everything")
    anonymous_search: bool = Field(description="searching takes no key")
    key_id: str | None = None
    name: str | None = None
    scopes: list[Scope] = []
