"""Calls that may be repeated: with the same `Idempotency-Key` they get the same answer."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, UploadFile

from petsearch.domain.errors import Conflict, InvalidInput
from petsearch.ports import IdempotencyStore
from services.api.dependencies import CallerIdDep, ServicesDep
from services.api.schemas.jobs import JobBody

KEPT_S = 24 * 3600.0
_LONGEST_CALL_S = 120.0
"""A call without an answer after this time counts as one whose process died."""
_BLOCK_BYTES = 1024 * 1024

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Of this call: repeated within 24 h with the same one, it is done once.",
    ),
]


@dataclass(frozen=True)
class Once:
    """Runs a call, unless the same one was answered in the last 24 h."""

    store: IdempotencyStore
    name: str
    """Of the answer. A key belongs to one caller and one route: others may have the same."""
    key: str | None

    def run(
        self, call: Callable[[], JobBody], *said: object, files: Iterable[UploadFile] = ()
    ) -> JobBody:
        """Return what `call` answers, or what it answered before.

        A call that failed is not remembered: repeated, it is run again.

        Args:
            said: everything that the request says, but its files.

        Raises:
            InvalidInput: the key came with another request before.
            Conflict: the first call is still being answered.
        """
        if self.key is None:
            return call()
        digest = _digest(said, files)
        kept = self.store.claim_answer(self.name, digest, _LONGEST_CALL_S)
        if kept is None:
            return self._run_and_keep(call, digest)
        if kept.digest != digest:
            raise InvalidInput(
                f"The Idempotency-Key {self.key!r} came with another request before; "
                "take a new one."
            )
        if kept.answer is None:
            raise Conflict("The first call with this Idempotency-Key is still being answered.")
        return JobBody.model_validate_json(kept.answer)

    def _run_and_keep(self, call: Callable[[], JobBody], digest: str) -> JobBody:
        try:
            answer = call()
        except BaseException:
            self.store.drop_answer(self.name)
            raise
        self.store.keep_answer(self.name, digest, answer.model_dump_json(), KEPT_S)
        return answer


async def _once(
    request: Request, services: ServicesDep, caller_id: CallerIdDep, key: IdempotencyKey = None
) -> Once:
    route = f"{request.method} {request.scope['route'].path}"
    return Once(services.storage.ledger, f"{route} {caller_id} {key}", key)


OnceDep = Annotated[Once, Depends(_once)]


def _digest(said: tuple[object, ...], files: Iterable[UploadFile]) -> str:
    """Of what a call says and of the files that it brings, which are read and wound back."""
    digest = hashlib.sha256(repr(said).encode())
    for file in files:
        digest.update(repr((file.filename, file.size)).encode())
        while block := file.file.read(_BLOCK_BYTES):
            digest.update(block)
        file.file.seek(0)
    return digest.hexdigest()
