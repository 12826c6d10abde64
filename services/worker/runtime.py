"""Everything a worker process runs, and the chores it does beside the queue."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from petsearch.app.services import Services, decode_threads
from petsearch.domain.errors import PetsearchError
from petsearch.ingest import IngestOptions, Ingestor
from petsearch.jobs import DependencyGate, Dispatcher, Enumerator, LeaseKeeper
from petsearch.observability import get_logger
from petsearch.ports import IngestObserver
from petsearch.reindex import Copier, Reindexer
from petsearch.reindex.source import open_reindex
from petsearch.sources import Source, make_fetcher, open_source, parse_spec
from services.worker.chunk_worker import ChunkWorker
from services.worker.cleanup import Discarder

log = get_logger(__name__)

_SWEEPS_PER_LEASE = 3


@dataclass
class Work:
    """What the tasks call. `begin` starts the chores, `stop` hands back, `close` releases."""

    chunks: ChunkWorker
    enumerator: Enumerator
    discarder: Discarder
    dispatcher: Dispatcher
    ingestor: Ingestor
    leases: LeaseKeeper
    gate: DependencyGate
    stopping: threading.Event
    chores: tuple[Callable[[], None], ...] = ()
    """What else is to be done every now and then."""
    _sweeper: threading.Thread | None = None

    def begin(self) -> None:
        """Look for lost work every now and then, in a thread, until `stop`."""
        self._sweeper = threading.Thread(target=self._sweep, name="sweep", daemon=True)
        self._sweeper.start()

    def stop(self) -> None:
        """Let running chunks end at their next batch; what is left is handed back."""
        self.stopping.set()

    def close(self) -> None:
        """Wait for the threads, then release them."""
        self.stop()
        if self._sweeper is not None:
            self._sweeper.join()
        self.ingestor.close()
        self.leases.close()

    def _sweep(self) -> None:
        while not self.stopping.wait(self.leases.lease_s / _SWEEPS_PER_LEASE):
            for chore in (self.dispatcher.sweep, *self.chores):
                try:
                    chore()
                except PetsearchError as error:
                    log.debug("a chore cannot be done now", reason=error.detail)
                except Exception:  # a thread's edge: without it lost work stays lost
                    log.exception("a chore failed")


def make_work(services: Services, observer: IngestObserver | None = None) -> Work:
    """What a worker process runs. Closed with the services."""
    observer = observer or IngestObserver()
    stopping = threading.Event()
    gate = DependencyGate(services.probe, stopping=stopping, observer=observer)
    leases = LeaseKeeper(services.settings.lease_s)
    ingestor = _make_ingestor(services, observer)
    work = Work(
        chunks=ChunkWorker(
            ingestor=ingestor,
            ledger=services.ledger,
            dispatcher=services.dispatcher,
            gate=gate,
            leases=leases,
            stopping=stopping,
            clock=services.clock,
            reindexer=_make_reindexer(services),
        ),
        enumerator=Enumerator(
            open_source=partial(_open_source, services),
            store=services.store,
            ledger=services.ledger,
            dispatcher=services.dispatcher,
            gate=gate,
            leases=leases,
            stopping=stopping,
            clock=services.clock,
        ),
        discarder=Discarder(
            control=services.job_control, queue=services.queue, gate=gate, stopping=stopping
        ),
        dispatcher=services.dispatcher,
        ingestor=ingestor,
        leases=leases,
        gate=gate,
        stopping=stopping,
        chores=(services.model_changes.load_all,),
    )
    services.close_with(work.close)
    return work


def _make_ingestor(services: Services, observer: IngestObserver) -> Ingestor:
    settings = services.settings
    return Ingestor(
        embedder=services.embedder,
        index=services.index,
        store=services.store,
        ledger=services.ledger,
        catalogue=services.catalogue,
        options=IngestOptions(
            batch_size=settings.ingest_batch_size,
            decode_threads=decode_threads(settings),
            limits=services.image_limits,
            resize=services.resize,
        ),
        clock=services.clock,
        fetcher=make_fetcher(services.sources),
        observer=observer,
    )


def _make_reindexer(services: Services) -> Reindexer:
    copier = Copier(index=services.own_index, store=services.store, points=services.points)
    return Reindexer(
        index=services.own_index,
        store=services.store,
        ledger=services.ledger,
        catalogue=services.catalogue,
        write_set=services.write_set,
        copier=copier,
        batch_size=services.settings.ingest_batch_size,
        clock=services.clock,
    )


def _open_source(services: Services, spec: str) -> Source:
    """What a job reads: photos from somewhere, or the images that are here."""
    reindex = open_reindex(
        spec,
        index=services.own_index,
        write_set=services.write_set,
        current=services.catalogue.collection,
    )
    return reindex or open_source(parse_spec(spec), services.sources)
