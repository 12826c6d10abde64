"""Calls that may be repeated: with the same `Idempotency-Key` they get the same answer."""

import hashlib
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Header, Request, UploadFile

from petsearch.jobs.leases import LeaseKeeper
from petsearch.ports import CallKey, IdempotencyStore
from services.api.dependencies import CallerIdDep, ServicesDep
from services.api.schemas.jobs import JobBody

KEPT_S = 24 * 3600.0
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
    """Of the route and the caller: others may use the same key."""
    key: str | None
    lease_s: float
    """A call that is not renewed for so long counts as one whose process died."""

    def call(self, *said: object, files: Iterable[UploadFile] = ()) -> CallKey | None:
        """Identify a call by its key and content; None without a key.

        Args:
            said: everything that the request says, but its files.
        """
        if self.key is None:
            return None
        return CallKey(f"{self.name} {self.key}", _digest(said, files))

    def run(
        self, answer: Callable[[], JobBody], *said: object, files: Iterable[UploadFile] = ()
    ) -> JobBody:
        """Return what `answer` returns, or what it returned before; `said` as in `call`.

        A call that failed is not remembered: repeated, it is run again.

        Raises:
            InvalidInput: the key came with another request before.
            Conflict: the first call is still being answered.
        """
        call = self.call(*said, files=files)
        if call is None:
            return answer()
        holder = uuid.uuid4().hex
        kept = self.store.claim_call(call, holder, self.lease_s)
        if kept is not None:
            return JobBody.model_validate_json(kept)
        return self._run_and_keep(answer, call, holder)

    def _run_and_keep(self, answer: Callable[[], JobBody], call: CallKey, holder: str) -> JobBody:
        extend = partial(self.store.extend_call, call, holder, self.lease_s)
        try:
            with closing(LeaseKeeper(self.lease_s)) as keeper, keeper.keep(extend):
                body = answer()
        except BaseException:
            self.store.release_call(call, holder)
            raise
        self.store.keep_answer(call, holder, body.model_dump_json(), KEPT_S)
        return body


async def _once(
    request: Request, services: ServicesDep, caller_id: CallerIdDep, key: IdempotencyKey = None
) -> Once:
    route = f"{request.method} {request.scope['route'].path}"
    return Once(services.storage.ledger, f"{route} {caller_id}", key, services.settings.lease_s)


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
