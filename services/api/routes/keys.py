"""API keys: make, list, revoke. For the scope admin."""

from petsearch.domain.api_keys import make_key
from services.api.dependencies import ServicesDep
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.keys import KeyBody, KeyList, KeyRequest, MadeKey

router = Router(prefix="/v1/keys", tags=["keys"])


@router.post("", status_code=201, summary="Make a key", responses=errors(writes=True, body=True))
def create_key(services: ServicesDep, body: KeyRequest) -> MadeKey:
    """The secret is in this answer alone: only a hash of it is kept."""
    made = make_key(
        body.name,
        body.scopes,
        services.clock(),
        expires_at=body.expires_at,
        origins=body.origins,
    )
    services.keys.add_first(made.kept)
    return MadeKey.of(made)


@router.get("", summary="List keys", responses=errors())
def list_keys(services: ServicesDep) -> KeyList:
    """Every key ever made, the oldest first; revoked ones stay."""
    return KeyList(items=[KeyBody.of(key) for key in services.keys.store.all()])


@router.delete(
    "/{key_id}", status_code=204, summary="Revoke a key", responses=errors(404, writes=True)
)
def revoke_key(services: ServicesDep, key_id: str) -> None:
    """It is refused at once, and by other processes within seconds; its sessions end with it."""
    services.keys.revoke(key_id)
