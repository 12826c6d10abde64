"""The life of models in service: reindex for the next one, promote it, go back, drop the other.

Nothing here touches what is searched but `promote` and `rollback`, and each does it in one step.
"""

import random
import time
import uuid
from collections.abc import Callable, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from petsearch.domain import Filters, Job, JobKind, ModelInfo, NewJob
from petsearch.domain.errors import Conflict, NotFound, PetsearchError, Unavailable
from petsearch.embedding import BatchingEmbedder
from petsearch.jobs import Dispatcher
from petsearch.models import Catalogue, Descriptions, Registry, collection_of, model_id_of
from petsearch.models.folder import METRICS
from petsearch.observability import get_logger
from petsearch.ports import Embedder, JobLedger
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex.promotion_checks import (
    BREEDS,
    Check,
    check_breeds,
    check_counts,
    check_measured,
    check_recall,
)
from petsearch.reindex.served_models import ServedModels
from petsearch.reindex.source import ReindexSpec, read_reindex_spec
from petsearch.reindex.write_set import WritersGoOn, WriteSet

log = get_logger(__name__)

SEARCHES_END_S = 5.0
"""A search that resolved the alias before it moved has ended by then."""
_WRITERS_S = 10.0
_LOAD_S = 600.0
"""A model may have to be fetched first."""
_LOOK_AGAIN_S = 0.5


@dataclass(frozen=True)
class ModelState:
    """A model as it stands with this server."""

    model_id: str
    is_current: bool
    is_published: bool
    is_loaded: bool
    is_previous: bool
    """Whether a rollback leads to it."""
    images: int | None
    """In its collection; None where it has none."""
    published_at: datetime | None
    figures: Mapping[str, float]
    """What was measured before it was published, by name."""


@dataclass(frozen=True)
class Moved:
    """The alias moved."""

    model_id: str
    previous: str | None
    """The model that was current before."""
    took_ms: float
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelChanges:
    """Changes which model serves. Any process may call it."""

    index: RawIndex
    embedder: Embedder
    catalogue: Catalogue
    registry: Registry
    descriptions: Descriptions
    write_set: WriteSet
    ledger: JobLedger
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    rng: random.Random = field(default_factory=random.Random)
    """Draws the photos that are tried."""

    @property
    def _served(self) -> ServedModels:
        return ServedModels(self.registry, self.embedder)

    def states(self) -> list[ModelState]:
        """Every model that is published, loaded or has a collection; the current one first."""
        current = self.catalogue.collection()
        state = self.write_set.store.read()
        published = {manifest.model_id: manifest for manifest in self.registry.all()}
        loaded = {model.model_id for model in self.embedder.models()}
        held = {model_id_of(name): name for name in (current, *state.collections)}
        found = [
            ModelState(
                model_id=model_id,
                is_current=held.get(model_id) == current,
                is_published=model_id in published,
                is_loaded=model_id in loaded,
                is_previous=collection_of(model_id) == state.previous,
                images=self._count(held.get(model_id)),
                published_at=published[model_id].published_at if model_id in published else None,
                figures=self.registry.figures(published[model_id]) if model_id in published else {},
            )
            for model_id in {*published, *loaded, *held}
        ]
        return sorted(found, key=lambda one: (not one.is_current, one.images is None, one.model_id))

    def reindex(self, model_id: str) -> Job:
        """Build the collection of another model, as a job. One that is under way is answered.

        Raises:
            NotFound: there is no such model.
            Conflict: it is the current one, a third one is in the write set, or no embedder can
                load it.
            Unavailable: no embedder has loaded it in time.
        """
        current, wanted = self.catalogue.collection(), collection_of(model_id)
        if wanted == current:
            raise Conflict(f"The model {model_id!r} is the current one already.")
        for name in self.write_set.store.read().collections:
            if name not in (current, wanted):
                other = model_id_of(name)
                raise Conflict(
                    f"The collection of {other!r} is still kept; drop it first: "
                    f"petsearch reindex --drop --model {other}"
                )
        if (under_way := self._job_of(wanted)) is not None:
            return under_way
        self.registry.spec_of(model_id)
        self._make_room({current, wanted})
        self.index.create_collection(wanted, self._have_loaded(model_id, current).dim)
        state = self.write_set.store.change(add=[current, wanted], remove=[])
        return self._open_job(model_id, ReindexSpec(collection=wanted, epoch=state.epoch))

    def promote(self, model_id: str, *, accept_worse: bool = False) -> Moved:
        """Let a model serve, if it passes the gate.

        Args:
            accept_worse: also one that finds photos of the same breed worse than the current one.

        Raises:
            NotFound: it has no collection.
            Conflict: it is current, its reindex has not ended, or the gate does not pass; nothing
                has changed then.
            ConfigurationError: what is published of it cannot be used.
        """
        started = time.perf_counter()
        current, wanted = self.catalogue.collection(), collection_of(model_id)
        self._check_ready(model_id, current, wanted)
        # What was published a moment ago counts, before embedders have followed.
        model = self.descriptions.of(self.catalogue.model(model_id))
        self._wait_until_everywhere(model_id)
        manifest = self.registry.find(model_id)
        checks = [
            check_measured(model, has_metrics=manifest is not None and METRICS in manifest.files),
            check_recall(self.index, wanted, self.rng),
            check_breeds(self.index, current, wanted, self.rng),
        ]
        _require(checks, but={BREEDS} if accept_worse else set())
        with self.write_set.nobody_writes() as lasts:
            counts = check_counts(self.index, current, wanted)
            _require([counts])
            if not lasts():
                raise Conflict("Counting took longer than writers may wait; ask again.")
            self._move(wanted, previous=current)
        self._announce_or_say()
        took_ms = (time.perf_counter() - started) * 1000
        log.info("promoted", model_id=model_id, previous=model_id_of(current), ms=round(took_ms))
        return Moved(model_id, model_id_of(current), took_ms, (*checks, counts))

    def rollback(self) -> Moved:
        """Let the model serve again that did before the last promotion. Nothing is lost by it.

        It waits for writers to end, and goes on without that if they do not: a change that is just
        being written may be lost then.

        Raises:
            Conflict: nothing was promoted, the collection of before was dropped, or somebody else
                moves the alias just now.
        """
        started = time.perf_counter()
        current, state = self.catalogue.collection(), self.write_set.store.read()
        if state.previous is None or state.previous not in state.collections:
            raise Conflict("There is no model to go back to.")
        self.catalogue.model(model_id_of(state.previous))
        with ExitStack() as held:
            try:
                held.enter_context(self.write_set.nobody_writes())
            except WritersGoOn as error:
                log.warning(
                    "rolling back while others write; a change may be lost", reason=error.detail
                )
            self._move(state.previous, previous=None)
        self._announce_or_say()
        took_ms = (time.perf_counter() - started) * 1000
        model_id = model_id_of(state.previous)
        log.info("rolled back", model_id=model_id, from_=model_id_of(current), ms=round(took_ms))
        return Moved(model_id, model_id_of(current), took_ms)

    def drop(self, model_id: str) -> None:
        """Give up a collection that is not the current one: nobody writes to it any more.

        Raises:
            NotFound: the model has none.
            Conflict: it is the current one.
        """
        current, dropped = self.catalogue.collection(), collection_of(model_id)
        state = self.write_set.store.read()
        if dropped == current:
            raise Conflict(f"The model {model_id!r} serves; promote another one first.")
        if dropped not in state.collections:
            raise NotFound(f"The model {model_id!r} has no collection.")
        self._let_searches_end(state.moved_at)
        if (job := self._job_of(dropped)) is not None:
            self.ledger.cancel(job.job_id, self.clock())
            self.dispatcher.discard_if_cancelled(job.job_id)
        state = self.write_set.store.change(add=[], remove=[dropped])
        if not self.write_set.wait_for_writers(before_epoch=state.epoch, for_s=_WRITERS_S):
            log.warning("a writer does not end; it will find the collection gone")
        self.index.delete_collection(dropped)
        self._announce_or_say()
        if any(model.model_id == model_id for model in self.embedder.models()):
            self.embedder.unload(model_id)
        log.info("dropped", model_id=model_id)

    def load_all(self) -> None:
        """Have every model of the write set loaded, as after a restart of the embedder.

        In a single process, this also has what is loaded described as it is published by now.

        Raises:
            Conflict, Unavailable: one of them cannot be loaded (now).
        """
        self.announce(may_drop=False)
        if isinstance(self.embedder, BatchingEmbedder):  # services follow by themselves
            self.descriptions.follow(self.embedder)
        for name in self.write_set.store.read().collections:
            self.catalogue.model(model_id_of(name))

    def announce(self, *, may_drop: bool = True) -> None:
        """Say which models embedders load: the current one and the others of the write set.

        Args:
            may_drop: False where somebody may just be having another one loaded, for a reindex.

        Raises:
            NotFound: one of them can be had from nowhere.
            Unavailable: the object store or the index does not answer.
        """
        needed = [self.catalogue.collection(), *self.write_set.store.read().collections]
        self._served.need(needed, may_drop=may_drop)

    def _announce_or_say(self) -> None:
        """After a change that is made.

        If this fails, a chore of the workers says what is to be loaded. What is dropped may stay
        loaded until the next change.
        """
        try:
            self.announce()
        except PetsearchError as error:
            log.warning("embedders are not told which models to load", reason=error.detail)

    def _have_loaded(self, model_id: str, current: str) -> ModelInfo:
        """The model, once one embedder has it."""
        self._served.need([current, collection_of(model_id)])
        ends_at = time.monotonic() + _LOAD_S
        while True:
            try:
                return self.catalogue.model(model_id)
            except Unavailable:
                if time.monotonic() > ends_at:
                    self._announce_or_say()
                    raise
            except Conflict:
                self._announce_or_say()
                raise
            time.sleep(_LOOK_AGAIN_S)

    def _wait_until_everywhere(self, model_id: str) -> None:
        ends_at = time.monotonic() + _LOAD_S
        while not self.embedder.is_everywhere(model_id):
            if time.monotonic() > ends_at:
                raise Conflict(f"Not every embedder that is ready has loaded {model_id!r}.")
            time.sleep(_LOOK_AGAIN_S)

    def _make_room(self, collections: set[str]) -> None:
        """Unload models that nothing is indexed with, such as an embedder's first one."""
        for model in self.embedder.models():
            if collection_of(model.model_id) not in collections:
                self.embedder.unload(model.model_id)

    def _check_ready(self, model_id: str, current: str, wanted: str) -> None:
        if wanted == current:
            raise Conflict(f"The model {model_id!r} is the current one already.")
        if wanted not in self.write_set.store.read().collections:
            raise NotFound(
                f"The model {model_id!r} has no collection; build it with: "
                f"petsearch reindex --model {model_id}"
            )
        if (job := self._job_of(wanted)) is not None:
            raise Conflict(f"The reindex has not ended: job {job.job_id} is {job.state.value}.")

    def _move(self, collection: str, *, previous: str | None) -> None:
        # Before the alias, so that a crash between them leaves a way back, if to where it stands.
        self.write_set.store.note_move(previous, self.clock())
        self.index.point_alias_to(collection)

    def _let_searches_end(self, moved_at: datetime | None) -> None:
        if moved_at is not None:
            rest = moved_at + timedelta(seconds=SEARCHES_END_S) - self.clock()
            time.sleep(min(max(rest.total_seconds(), 0.0), SEARCHES_END_S))

    def _open_job(self, model_id: str, spec: ReindexSpec) -> Job:
        job = NewJob(
            job_id=uuid.uuid4().hex,
            source=f"reindex for {model_id}",
            created_at=self.clock(),
            spec=spec.model_dump_json(),
            kind=JobKind.REINDEX,
        )
        self.ledger.create(job)
        self.dispatcher.dispatch(job.job_id)
        return self.ledger.get(job.job_id)

    def _job_of(self, collection: str) -> Job | None:
        """The unfinished reindex job for a collection."""
        for job_id in self.ledger.active():
            try:
                job = self.ledger.get(job_id)
            except NotFound:  # forgotten just now
                continue
            spec = read_reindex_spec(self.ledger.spec(job_id) or "")
            if spec is not None and spec.collection == collection:
                return job
        return None

    def _count(self, collection: str | None) -> int | None:
        if collection is None:
            return None
        try:
            return self.index.count(collection, Filters())
        except NotFound:
            return None


def _require(checks: list[Check], but: Set[str] = frozenset()) -> None:
    """Nothing may be promoted unless all hold, but those named."""
    failing = [
        f"{check.name}: {check.detail}"
        for check in checks
        if not check.passed and check.name not in but
    ]
    if failing:
        raise Conflict(f"The gate does not pass. {' '.join(failing)} Nothing was changed.")
