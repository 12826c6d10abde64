"""Translates the errors of the Qdrant client, which differ by transport."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from petsearch.domain import deadline
from petsearch.domain.errors import InvalidInput, NotFound, PetsearchError, StorageFull, Unavailable


@contextmanager
def qdrant_errors() -> Iterator[None]:
    """Raise what the client raises as a petsearch error, and nothing is sent after the deadline."""
    deadline.check("the index (Qdrant)")
    try:
        yield
    except PetsearchError:
        raise
    except UnexpectedResponse as error:
        raise _of_status(error.status_code or 500, str(error)) from error
    except grpc.RpcError as error:
        raise _of_grpc(error) from error
    except ResourceExhaustedResponse as error:
        raise Unavailable(
            "The index (Qdrant) is overloaded.", retry_after_s=error.retry_after_s
        ) from error
    except ResponseHandlingException as error:
        # Its words name the address, and callers from outside see the message.
        raise Unavailable("The index (Qdrant) does not answer.") from error
    except ValueError as error:  # the client's local mode, for a collection that is absent
        if "not found" in str(error):
            raise NotFound(str(error)) from error
        raise


def _of_status(status: int, message: str) -> PetsearchError:
    if status == 404:
        return NotFound(f"Not found in the index: {message}")
    if status == 507 or "no space left" in message.lower():
        return StorageFull("The disk of the index (Qdrant) is full; free some space.")
    if status in (401, 403):
        # Retried like an outage: the work is kept until the key is corrected.
        return Unavailable(
            "The index (Qdrant) rejects the API key; check PETSEARCH_QDRANT_API_KEY."
        )
    if status in (408, 429) or status >= 500:
        return Unavailable(f"The index (Qdrant) failed: {message}")
    return InvalidInput(f"The index (Qdrant) rejected a request: {message}")


_STATUS_OF_GRPC = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 422,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
}


def _of_grpc(error: grpc.RpcError) -> PetsearchError:
    # What is raised is also a grpc.Call, which has a code and details.
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Unavailable("The index (Qdrant) did not answer in time.")
    details = (error.details() if isinstance(error, grpc.Call) else None) or str(error)
    return _of_status(_STATUS_OF_GRPC.get(code, 503), details)
