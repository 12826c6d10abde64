"""Calls that may be repeated: with the same `Idempotency-Key` they get the same answer."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastapi import UploadFile

from petsearch.domain.errors import Conflict, InvalidInput
from petsearch.ports import IdempotencyStore
from services.api.schemas.jobs import JobBody

KEPT_S = 24 * 3600.0
_LONGEST_CALL_S = 120.0
"""A call that is still not answered then is taken for one whose process died."""
_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Call:
    """What is asked: by whom, by which route, under which key, and a digest of all in it."""

    caller: str
    route: str
    key: str | None
    digest: str

    @property
    def name(self) -> str:
        """Of its answer. A key belongs to one caller and one route: others may have the same."""
        return f"{self.route} {self.caller} {self.key}"


def once(store: IdempotencyStore, call: Call, run: Callable[[], JobBody]) -> JobBody:
    """What `run` answers, or what it answered to the same call in the last 24 h.

    A call that failed is not remembered: repeated, it is run again.

    Raises:
        InvalidInput: the key came with something else before.
        Conflict: the first call is still being answered.
    """
    if call.key is None:
        return run()
    kept = store.claim_answer(call.name, call.digest, _LONGEST_CALL_S)
    if kept is None:
        return _run_and_keep(store, call, run)
    if kept.digest != call.digest:
        raise InvalidInput(
            f"The Idempotency-Key {call.key!r} came with another request before; take a new one."
        )
    if kept.answer is None:
        raise Conflict("The first call with this Idempotency-Key is still being answered.")
    return JobBody.model_validate_json(kept.answer)


def digest_of(*words: object) -> str:
    """Of what a call says."""
    return _digest(repr(words).encode() for _ in (0,))


def digest_of_uploads(files: Iterable[UploadFile], *words: object) -> str:
    """Of what a call says and of the files that it brings, which are read and wound back."""
    return _digest(_said_and_sent(files, words))


def _said_and_sent(files: Iterable[UploadFile], words: tuple[object, ...]) -> Iterable[bytes]:
    yield repr(words).encode()
    for file in files:
        yield repr((file.filename, file.size)).encode()
        while block := file.file.read(_BLOCK_BYTES):
            yield block
        file.file.seek(0)


def _digest(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _run_and_keep(store: IdempotencyStore, call: Call, run: Callable[[], JobBody]) -> JobBody:
    answer: JobBody | None = None
    try:
        answer = run()
    finally:
        if answer is None:
            store.drop_answer(call.name)
    store.keep_answer(call.name, call.digest, answer.model_dump_json(), KEPT_S)
    return answer
