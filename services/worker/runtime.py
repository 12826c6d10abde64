"""Builds what a worker process runs, and the background thread beside the queue."""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

from petsearch.app.services import Services
from petsearch.domain import JobKind
from petsearch.domain.errors import PetsearchError, Unavailable
from petsearch.embedding import BreedTagger
from petsearch.ingest import IngestOptions, Ingestor
from petsearch.jobs import CircuitBreaker, Enumerator, LeaseKeeper
from petsearch.jobs.chunk_runner import ChunkRunner
from petsearch.jobs.circuit_breaker import random_jitter
from petsearch.jobs.stored_specs import read_spec
from petsearch.maintenance.calibration_job import (
    CalibrationSource,
    CalibrationStarter,
    is_calibration,
)
from petsearch.maintenance.first_calibration import FirstCalibration
from petsearch.maintenance.payloads import PayloadUpdater
from petsearch.maintenance.pixels import PixelUpdater
from petsearch.maintenance.predictions import PredictionUpdater
from petsearch.models import CatalogueCalibrations
from petsearch.observability import get_logger
from petsearch.ports import IngestObserver
from petsearch.reindex import Copier, Reindexer
from petsearch.reindex.source import open_reindex
from petsearch.sources import Source, open_source, parse_spec
from services.worker.chunk_worker import ChunkWorker
from services.worker.cleanup import JobCleanup

log = get_logger(__name__)

_CHORES_PER_LEASE = 3


@dataclass
class WorkerRuntime:
    """What the tasks call, and the thread of the chores. Close it when the process ends."""

    chunks: ChunkWorker
    enumerator: Enumerator
    cleanup: JobCleanup
    breaker: CircuitBreaker
    leases: LeaseKeeper
    stopping: threading.Event
    chores: tuple[Callable[[], object], ...]
    """Called regularly by the thread."""
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the thread of the chores."""
        self._thread = threading.Thread(target=self._run_chores, name="chores", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let running chunks end at their next batch; unfinished ones are handed back."""
        self.stopping.set()

    def close(self) -> None:
        """Stop, and wait for the threads."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.leases.close()

    def _run_chores(self) -> None:
        while not self.stopping.wait(self.leases.lease_s / _CHORES_PER_LEASE):
            for chore in self.chores:
                try:
                    chore()
                except PetsearchError as error:
                    log.debug("chore postponed", reason=error.detail)
                except Exception:  # a thread's edge: without the sweep lost work stays lost
                    log.exception("chore failed")


def build_runtime(
    services: Services,
    observer: IngestObserver | None = None,
    *,
    jitter: Callable[[], float] = random_jitter,
) -> WorkerRuntime:
    """Build what a worker process runs; it is closed with the services.

    Args:
        jitter: see `CircuitBreaker`.
    """
    observer = observer or IngestObserver()
    stopping = threading.Event()
    breaker = CircuitBreaker(services.probe, stopping=stopping, observer=observer, jitter=jitter)
    leases = LeaseKeeper(services.settings.lease_s)
    chunks = ChunkWorker(
        runner=_build_runner(services, observer),
        ledger=services.storage.ledger,
        dispatcher=services.storage.dispatcher,
        breaker=breaker,
        leases=leases,
        stopping=stopping,
        clock=services.clock,
    )
    runtime = WorkerRuntime(
        chunks=chunks,
        enumerator=Enumerator(
            open_source=partial(_open_source, services),
            store=services.storage.store,
            ledger=services.storage.ledger,
            dispatcher=services.storage.dispatcher,
            breaker=breaker,
            leases=leases,
            stopping=stopping,
            clock=services.clock,
        ),
        cleanup=JobCleanup(
            jobs=services.jobs,
            ledger=services.storage.ledger,
            queue=services.storage.queue,
            breaker=breaker,
            leases=leases,
            stopping=stopping,
        ),
        breaker=breaker,
        leases=leases,
        stopping=stopping,
        chores=(
            services.storage.dispatcher.sweep,
            services.models.load_all,
            PayloadUpdater(index=services.storage.index, write_set=services.storage.write_set),
            CalibrationStarter(
                first=_first_calibration(services),
                ledger=services.storage.ledger,
                dispatcher=services.storage.dispatcher,
                now=services.clock,
            ),
            chunks.resume_if_left,
        ),
    )
    services.close_with(runtime.close)
    services.close_with(_announce(services, breaker, leases).close)
    return runtime


def _announce(services: Services, breaker: CircuitBreaker, leases: LeaseKeeper) -> ExitStack:
    """Report this worker until what is returned is closed, also while it waits for its start."""

    def report() -> bool:
        services.storage.ledger.report_worker(breaker.reason, leases.lease_s)
        return True

    with suppress(Unavailable):
        report()
    kept = ExitStack()
    kept.enter_context(leases.keep(report))
    return kept


def _build_runner(services: Services, observer: IngestObserver) -> ChunkRunner:
    ingestor = _build_ingestor(services, observer)
    services.close_with(ingestor.close)
    predictions = PredictionUpdater(
        index=services.storage.index,
        catalogue=services.parts.catalogue,
        write_set=services.storage.write_set,
        tagger=BreedTagger(services.parts.embedder),
    )
    return ChunkRunner(
        processors={
            JobKind.INGEST: ingestor,
            JobKind.PIXELS: _build_pixel_updater(services),
            JobKind.PREDICTIONS: predictions,
            JobKind.REINDEX: _build_reindexer(services),
        },
        store=services.storage.store,
        ledger=services.storage.ledger,
        observer=observer,
        clock=services.clock,
    )


def _build_ingestor(services: Services, observer: IngestObserver) -> Ingestor:
    settings = services.settings
    return Ingestor(
        embedder=services.parts.embedder,
        index=services.parts.writer,
        store=services.storage.store,
        ledger=services.storage.ledger,
        catalogue=services.parts.catalogue,
        options=IngestOptions(
            batch_size=settings.ingest_batch_size,
            decoders=services.parts.decoders,
            zone=settings.zone,
        ),
        clock=services.clock,
        fetcher=services.parts.sources,
        observer=observer,
    )


def _build_pixel_updater(services: Services) -> PixelUpdater:
    return PixelUpdater(
        index=services.storage.index,
        writer=services.parts.writer,
        store=services.storage.store,
        ledger=services.storage.ledger,
        catalogue=services.parts.catalogue,
        write_set=services.storage.write_set,
        points=services.parts.points,
        decoders=services.parts.decoders,
        clock=services.clock,
        zone=services.settings.zone,
    )


def _build_reindexer(services: Services) -> Reindexer:
    copier = Copier(
        index=services.storage.index,
        store=services.storage.store,
        points=services.parts.points,
        clock=services.clock,
    )
    return Reindexer(
        index=services.storage.index,
        store=services.storage.store,
        ledger=services.storage.ledger,
        catalogue=services.parts.catalogue,
        write_set=services.storage.write_set,
        copier=copier,
        batch_size=services.settings.ingest_batch_size,
    )


def _first_calibration(services: Services) -> FirstCalibration:
    return FirstCalibration(
        index=services.storage.index,
        embedder=services.parts.embedder,
        catalogue=services.parts.catalogue,
        kept=CatalogueCalibrations(services.storage.store),
    )


def _open_source(services: Services, spec: str) -> Source:
    """Open the source of a job: photos to ingest, or images to embed or to predict again."""
    spec = read_spec(services.storage.store, spec)
    if is_calibration(spec):
        return CalibrationSource(_first_calibration(services), services.clock)
    reindex = open_reindex(
        spec,
        index=services.storage.index,
        write_set=services.storage.write_set,
        current=services.parts.catalogue.collection,
    )
    return reindex or open_source(parse_spec(spec), services.parts.sources)
