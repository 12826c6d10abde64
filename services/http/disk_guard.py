"""Refuses changes while the disk is full, before a body is read; deletes take the reserve."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from petsearch.disk_room import DiskRoom
from petsearch.domain.errors import StorageFull
from services.http.problems import problem_of

_ALWAYS = frozenset({"/v1/session"})
"""Changes nothing on the disk."""


class DiskGuard:
    """507 for what changes something, with the megabytes to free.

    Args:
        is_read: whether a method and a path change nothing.
    """

    def __init__(
        self, app: ASGIApp, *, room: DiskRoom, is_read: Callable[[str, str], bool]
    ) -> None:
        self._app = app
        self._room = room
        self._is_read = is_read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp = self._app
        if scope["type"] == "http" and not self._is_free(scope["method"], scope["path"]):
            try:
                self._check(scope["method"])
            except StorageFull as error:
                answer = problem_of(error, scope.get("request_id", ""))
        await answer(scope, receive, send)

    def _is_free(self, method: str, path: str) -> bool:
        return path in _ALWAYS or self._is_read(method, path)

    def _check(self, method: str) -> None:
        if method == "DELETE":
            self._room.check_delete()
        else:
            self._room.check()
