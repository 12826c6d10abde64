"""Holds the Qdrant client's calls to the deadline of the request that they are made for.

The client takes whole seconds, and for some calls none: it is done where they leave it.
"""

import math
from collections import namedtuple
from collections.abc import Callable
from functools import wraps
from typing import Any

import grpc
import httpx
from qdrant_client import qdrant_remote

from petsearch.domain import deadline
from petsearch.failover import in_time

_MAKER = "get_channel"


def limit_request(request: httpx.Request) -> None:
    """Shorten the time-outs of a request over HTTP; a hook of the client's."""
    request.extensions = dict(in_time(request.extensions))


class _CallDetails(
    namedtuple("_CallDetails", ("method", "timeout", "metadata", "credentials")),
    grpc.ClientCallDetails,  # type: ignore[misc]  # grpc has no types
):
    """What a call over gRPC is made with."""


class _InTime(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # grpc has no types
    """Shortens the time-out of a call over gRPC."""

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: Any, request: Any
    ) -> Any:
        own_s = math.inf if details.timeout is None else details.timeout
        left_s = deadline.left_s(own_s)
        timeout_s = None if left_s == math.inf else left_s
        return continuation(
            _CallDetails(details.method, timeout_s, details.metadata, details.credentials), request
        )


def install() -> None:
    """Have the client's channels made with it; once, and before the first client is made."""
    # The client takes no channel of ours, and does not export what makes its own.
    make_channel = getattr(qdrant_remote, _MAKER)
    if getattr(make_channel, "is_in_time", False):
        return

    @wraps(make_channel)
    def make_channel_in_time(*args: Any, **options: Any) -> grpc.Channel:
        return grpc.intercept_channel(make_channel(*args, **options), _InTime())

    make_channel_in_time.is_in_time = True  # type: ignore[attr-defined]  # a mark of ours
    setattr(qdrant_remote, _MAKER, make_channel_in_time)
