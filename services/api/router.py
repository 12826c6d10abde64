"""The router of the API's resources."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import APIRouter, Depends, params
from fastapi.routing import APIRoute
from fastapi.types import DecoratedCallable

from services.api.input_names import check_input


def _operation_id(route: APIRoute) -> str:
    """Clients get functions of this name."""
    return route.name


class Router(APIRouter):
    """Answers HEAD wherever it answers GET; the OpenAPI document has GET alone.

    What a call is given is checked by `check_input`.
    """

    def __init__(self, *, dependencies: Sequence[params.Depends] = (), **options: Any) -> None:
        super().__init__(
            dependencies=[Depends(check_input), *dependencies],
            generate_unique_id_function=_operation_id,
            **options,
        )

    def get(self, path: str, **options: Any) -> Callable[[DecoratedCallable], DecoratedCallable]:
        """See `APIRouter.get`."""
        register_get = super().get(path, **options)
        register_head = super().head(path, **{**options, "include_in_schema": False})

        def register(endpoint: DecoratedCallable) -> DecoratedCallable:
            return register_get(register_head(endpoint))

        return register
