"""How many requests of each kind are answered at a time, so that one kind leaves room for others.

Routes run in the 40 threads of the process, in which more than a few requests of a kind only get
into each other's way: on two cores, 8 searches at a time were done at 95 % of the best rate, and 32
uploads at 60 %. More requests wait in the event loop, where they cost no thread, and those beyond
that are refused.
"""

from starlette.types import Scope

from petsearch.app.connections import MOST_QUERY_PHOTOS
from petsearch.process_tuning import usable_cores
from services.api.authorisation import ROUTES, Access, AccessTable
from services.api.bodies import MULTIPART, QUERY_PHOTOS
from services.http.admission import Room, RoomOf

LONG = frozenset(
    {
        *("POST /v1/models/{model_id}/promote", "POST /v1/models/rollback", "POST /v1/reindex"),
        *("DELETE /v1/models/{model_id}/collection", "DELETE /v1/images"),
    }
)
"""They may wait until a model is loaded, or change as many photos as there are."""
_WITHOUT_THREAD = ("GET /metrics", "GET /v1/limits", "GET /v1/jobs/{job_id}/events")
_SEARCHES = frozenset(
    {
        *("GET /search", "GET /v1/search", "POST /v1/search", "GET /v1/images/{image_id}/similar"),
        *("GET /v1/duplicates", "GET /v1/images/{image_id}/duplicates"),
    }
)


def rooms_of(table: AccessTable) -> RoomOf:
    """The room of a request, by its route; health and the page need none."""
    by_photo = Room("photo_searches", places=MOST_QUERY_PHOTOS, most_waiting=24)
    searches = Room("searches", places=min(12, 4 + 2 * usable_cores()), most_waiting=64)
    # Sending a body again costs more than waiting, which the deadline bounds.
    uploads = Room("uploads", places=6, most_waiting=24, patience_s=4.0)
    # Dozens of small pictures belong to one page of results.
    others = Room("others", places=12, most_waiting=256)
    room_of_route: dict[str, Room | None] = {
        **dict.fromkeys((name for name in ROUTES if ROUTES[name] is not Access.PUBLIC), others),
        **dict.fromkeys(_SEARCHES, searches),
        **dict.fromkeys(MULTIPART, uploads),
        **dict.fromkeys(QUERY_PHOTOS, by_photo),
        **dict.fromkeys((*LONG, *_WITHOUT_THREAD)),
    }

    def room_of(scope: Scope) -> Room | None:
        return room_of_route.get(table.route_of(scope["method"], scope["path"]))

    return room_of
