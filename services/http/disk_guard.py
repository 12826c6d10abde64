"""Refuses changes while the disk is full, before a body is read; deletes take the reserve."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from petsearch.disk_room import DiskRoom
from petsearch.domain.errors import StorageFull
from services.http.asgi import HttpMiddleware
from services.http.problems import problem_of

_ALWAYS = frozenset({"/v1/session"})
"""Changes nothing on the disk."""


@dataclass(eq=False)
class DiskGuard(HttpMiddleware):
    """507 for what changes something, with the megabytes to free."""

    room: DiskRoom
    is_read: Callable[[str, str], bool]
    """Whether a method and a path change nothing."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.app
        method, path = scope["method"], scope["path"]
        if path not in _ALWAYS and not self.is_read(method, path):
            check = self.room.check_delete if method == "DELETE" else self.room.check
            try:
                check()
            except StorageFull as error:
                answer = problem_of(error, scope.get("request_id", ""))
        await answer(scope, receive, send)
