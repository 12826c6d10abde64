"""Ingest of one chunk: prepare its items in threads, embed in batches, index, account.

Every step may be repeated: a chunk that was cut off anywhere is simply run again. Threads prepare
the next items while this thread embeds what is ready, so the slower of the two sets the pace.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import numpy as np

from petsearch.domain import (
    ImageRecord,
    Item,
    ItemStatus,
    Job,
    Outcome,
    Point,
    Prediction,
    Priority,
    image_id_of,
)
from petsearch.domain.errors import NotFound, Overloaded, PetsearchError, StorageFull, Unavailable
from petsearch.embedding import BreedTagger
from petsearch.ingest.outcomes import failed, outcome_of, quarantined
from petsearch.ingest.prepare import Known, Prepared, Preparer
from petsearch.ingest.repeats import Settler, completed
from petsearch.ingest.run import ChunkRun, delete_progress, read_progress, write_progress
from petsearch.jobs import chunk_files
from petsearch.models import Catalogue
from petsearch.observability import get_logger
from petsearch.photos import ImageLimits, Resize, resize_with_pillow
from petsearch.photos.perceptual_hash import hashes_of
from petsearch.ports import (
    ChunkLedger,
    Embedder,
    IndexWriter,
    IngestObserver,
    ObjectStore,
    Stage,
    timed,
)
from petsearch.process_tuning import yield_to_the_model
from petsearch.sources import Fetcher

log = get_logger(__name__)

MAX_MARKS = 3
"""An item that ended its worker so often is put into quarantine."""

Ready = Prepared | Known | Outcome


@dataclass(frozen=True)
class IngestOptions:
    """How much is done at a time, and with what."""

    batch_size: int
    """Photos embedded in one call."""
    decode_threads: int
    limits: ImageLimits
    resize: Resize = resize_with_pillow


class Ingestor:
    """Ingests chunks. Safe to call from several threads at once.

    Args:
        clock: the time now, with a time zone.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        index: IndexWriter,
        store: ObjectStore,
        ledger: ChunkLedger,
        catalogue: Catalogue,
        options: IngestOptions,
        clock: Callable[[], datetime],
        fetcher: Fetcher,
        observer: IngestObserver | None = None,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._store = store
        self._ledger = ledger
        self._catalogue = catalogue
        self._batch_size = options.batch_size
        self._clock = clock
        self._observer = observer or IngestObserver()
        self._tagger = BreedTagger(embedder)
        self._preparer = Preparer(
            store=store,
            index=index,
            limits=options.limits,
            resize=options.resize,
            fetcher=fetcher,
            observer=self._observer,
        )
        self._settler = Settler(index, clock)
        # Two turns of every thread make a batch: who waits for a batch is seldom woken, and each
        # wake-up takes the interpreter's lock from a thread that decodes.
        self._turn = max(1, options.batch_size // (2 * options.decode_threads))
        self._turns_per_batch = options.batch_size // self._turn
        self._turns_ahead = self._turns_per_batch + options.decode_threads
        self._threads = ThreadPoolExecutor(
            options.decode_threads, thread_name_prefix="decode", initializer=yield_to_the_model
        )

    def close(self) -> None:
        """Stop the decoding threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def has_chunk(self, job: Job, chunk_no: int) -> bool:
        """Whether what a chunk holds can be read."""
        try:
            chunk_files.read_chunk(self._store, job.job_id, chunk_no)
        except NotFound:
            return False
        return True

    def ingest_chunk(
        self,
        job: Job,
        chunk_no: int,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        one_by_one: bool = False,
        tries: Counter[int] | None = None,
    ) -> bool:
        """Bring every item of a chunk to an outcome and account them once.

        Returns:
            False if it was told to stop before all items had one; nothing is accounted then, but
            what became of the others is kept for the next run.

        Raises:
            Unavailable: a dependency does not answer; the same call finishes the work later.
            NotFound: what the chunk holds is not there.
        """
        items = chunk_files.read_chunk(self._store, job.job_id, chunk_no)
        outcomes = chunk_files.find_outcomes(self._store, job.job_id, chunk_no)
        if outcomes is None:
            target = self._catalogue.current()
            tries = Counter[int]() if tries is None else tries
            run = ChunkRun(job, chunk_no, target, should_stop, one_by_one, tries)
            outcomes = self._go_on(run, items)
            if len(outcomes) < len(items) and not self._is_cancelled(job):
                # A later run does not fetch again what a slow site took its time for.
                write_progress(self._store, job.job_id, chunk_no, outcomes)
                return False
            # Before it is counted, so that whatever is counted can be read; a run that is cut
            # off after this does not do it all again.
            chunk_files.write_outcomes(self._store, job.job_id, chunk_no, outcomes)
            delete_progress(self._store, job.job_id, chunk_no)
        self._discard_staged(items, outcomes)
        self._account(job.job_id, chunk_no, outcomes)
        return True

    def _go_on(self, run: ChunkRun, items: Sequence[Item]) -> tuple[Outcome, ...]:
        """What became of the items in earlier runs and in this one."""
        before = read_progress(self._store, run.job.job_id, run.chunk_no)
        ended = {outcome.item_no for outcome in before}
        left = [item for item in items if item.item_no not in ended]
        return tuple(sorted([*before, *self._bring_in(run, left)], key=lambda o: o.item_no))

    def _is_cancelled(self, job: Job) -> bool:
        """A cancelled job accounts what it has."""
        return self._ledger.get(job.job_id).cancelled

    def _account(self, job_id: str, chunk_no: int, outcomes: Sequence[Outcome]) -> None:
        counts = Counter(outcome.status for outcome in outcomes)
        counted = self._ledger.account_chunk(job_id, chunk_no, counts, self._clock())
        if counted:
            self._observer.items_ended(counts)
        log.info("chunk accounted", counted=counted, **{s.value: n for s, n in counts.items()})

    def _bring_in(self, run: ChunkRun, items: Sequence[Item]) -> Iterator[Outcome]:
        """An outcome for each item; fewer if the run is told to stop."""
        for item in items:
            if item.refusal:
                yield outcome_of(item, ItemStatus.REFUSED, item.refusal)
        new, repeats = self._split(run, [item for item in items if not item.refusal])
        fetched: list[Item] = []
        bring_in = self._one_by_one if run.one_by_one else self._in_batches
        for result in bring_in(run, new):
            if isinstance(result, Known):
                fetched.append(result.item)
            else:
                yield result
        # After the new ones: a repeat may be a repeat of one of them, that is not indexed yet if
        # the run was told to stop. What was fetched was found in the index.
        waiting = [] if run.should_stop() else repeats
        yield from self._settler.settle_repeats(run, [*waiting, *fetched])

    def _split(self, run: ChunkRun, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """Items to embed, and items whose image is indexed or comes earlier in this chunk."""
        ids = [image_id_of(item.sha256) for item in items if item.sha256]
        seen = set(self._index.get(run.target.collection, ids))
        new: list[Item] = []
        repeats: list[Item] = []
        for item in items:
            image_id = image_id_of(item.sha256) if item.sha256 else None
            (repeats if image_id in seen else new).append(item)
            if image_id:
                seen.add(image_id)
        return new, repeats

    # --- images that are not indexed yet ---------------------------------------------------

    def _in_batches(self, run: ChunkRun, items: Sequence[Item]) -> Iterator[Known | Outcome]:
        waiting = iter(items)
        turns = iter(lambda: list(islice(waiting, self._turn)), [])
        futures: deque[Future[list[Ready]]] = deque()
        try:
            while True:
                for turn in islice(turns, self._turns_ahead - len(futures)):
                    futures.append(self._threads.submit(self._prepare, turn, run))
                if not futures or run.should_stop():
                    return
                count = min(self._turns_per_batch, len(futures))
                wait(list(islice(futures, count)), return_when=FIRST_EXCEPTION)
                ready = [one for _ in range(count) for one in futures.popleft().result()]
                yield from (one for one in ready if not isinstance(one, Prepared))
                yield from self._index_batch(run, [r for r in ready if isinstance(r, Prepared)])
        finally:
            for future in futures:
                future.cancel()

    def _prepare(self, items: Sequence[Item], run: ChunkRun) -> list[Ready]:
        return [self._preparer.prepare(item, run.target) for item in items]

    def _one_by_one(self, run: ChunkRun, items: Sequence[Item]) -> Iterator[Known | Outcome]:
        for item in items:
            if run.should_stop():
                return
            marks = self._ledger.mark_item(run.job.job_id, item.item_no)
            if marks > MAX_MARKS:
                yield quarantined(item, MAX_MARKS)
            else:
                yield from self._alone(run, item)
            self._ledger.clear_mark(run.job.job_id, item.item_no)

    def _alone(self, run: ChunkRun, item: Item) -> list[Known | Outcome]:
        """One item; an error of ours in it is its failure, and an outage is not."""
        try:
            ready = self._threads.submit(self._preparer.prepare, item, run.target).result()
            return self._alone_embedded(run, ready) if isinstance(ready, Prepared) else [ready]
        except PetsearchError:
            self._ledger.clear_mark(run.job.job_id, item.item_no)
            raise
        except Exception as error:  # the item fails, the others go on
            return [failed(item, Stage.EMBED, error)]

    def _alone_embedded(self, run: ChunkRun, ready: Prepared) -> list[Known | Outcome]:
        try:
            return [*self._index_batch(run, [ready])]
        except (Overloaded, StorageFull):
            raise
        except Unavailable as error:
            # The embedder answers in between, so in the end it is this photo that it fails on.
            run.tries[ready.item.item_no] += 1
            if run.tries[ready.item.item_no] < MAX_MARKS:
                raise
            return [failed(ready.item, Stage.EMBED, error, attempts=MAX_MARKS)]

    def _index_batch(self, run: ChunkRun, ready: Sequence[Prepared]) -> list[Outcome]:
        if not ready:
            return []
        model, collection = run.target.model, run.target.collection
        with timed(self._observer, Stage.EMBED):
            embeddings = self._embedder.embed_pixels(
                np.stack([prepared.pixels for prepared in ready]),
                model_id=model.model_id,
                priority=Priority.INGEST,
            )
            predictions = self._tagger.predict(model, embeddings)
        with timed(self._observer, Stage.INDEX):
            hashes = hashes_of([prepared.grey for prepared in ready])
            points = [
                Point(self._record(run, prepared, phash, prediction), embedding)
                for prepared, phash, prediction, embedding in zip(
                    ready, hashes, predictions, embeddings, strict=True
                )
            ]
            self._index.insert_everywhere(collection, points)
            # Insert leaves a point alone that another chunk inserted in the meantime.
            ids = [point.record.image_id for point in points]
            found = self._index.get(collection, ids)
            return self._settler.settle(
                run, [(p.item, found.get(i)) for p, i in zip(ready, ids, strict=True)]
            )

    def _record(
        self, run: ChunkRun, prepared: Prepared, phash: str, prediction: Prediction | None
    ) -> ImageRecord:
        now = self._clock()
        ref = run.ref(prepared.item)
        return ImageRecord(
            image_id=image_id_of(prepared.item.sha256),
            sha256=prepared.item.sha256,
            metadata=completed(prepared.item.metadata, run.target.model),
            prediction=prediction,
            width=prepared.width,
            height=prepared.height,
            content_type=prepared.content_type,
            size_bytes=prepared.size_bytes,
            created_at=now,
            updated_at=now,
            model_id=run.target.model.model_id,
            first_seen=ref,
            sources=(ref,),
            phash=phash,
        )

    def _discard_staged(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        """Delete what is still staged: refused files and repeats. Failed ones can be retried."""
        ended = {o.item_no for o in outcomes if o.status is not ItemStatus.FAILED}
        moved = {o.item_no for o in outcomes if o.status is ItemStatus.INGESTED}
        for item in items:
            if item.staging_key is not None and item.item_no in ended - moved:
                self._store.delete(item.staging_key)
