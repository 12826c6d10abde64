"""The router of the API's resources."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.types import DecoratedCallable


class Router(APIRouter):
    """Answers HEAD wherever it answers GET; the OpenAPI document has GET alone."""

    def get(self, path: str, **options: Any) -> Callable[[DecoratedCallable], DecoratedCallable]:
        """See `APIRouter.get`."""
        register_get = super().get(path, **options)
        register_head = super().head(path, **{**options, "include_in_schema": False})

        def register(endpoint: DecoratedCallable) -> DecoratedCallable:
            return register_get(register_head(endpoint))

        return register
