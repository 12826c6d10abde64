"""The command `petsearch reconcile`."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from petsearch.app.connections import open_decoders
from petsearch.app.services import Storage
from petsearch.cli.ingest_options import ExifDates
from petsearch.cli.output import EXIT_PARTLY, Json, print_json, print_line
from petsearch.cli.storage import DataDir, opened_storage
from petsearch.domain import JobKind, JsonDict
from petsearch.domain.errors import ConfigurationError
from petsearch.maintenance import Damage, Reconciler, Report
from petsearch.maintenance.pixels import QUEUED_AT_A_TIME, outdated_images
from petsearch.maintenance.reingest import ImageJob
from petsearch.photos import Decoders
from petsearch.ports.index import id_pages
from petsearch.reindex import FanOutIndex

_DESCRIPTIONS = {
    Damage.HALF_DELETED: ("deletes that were interrupted", "finished"),
    Damage.MISSING_POINT: ("originals that are not indexed", "queued to be ingested again"),
    Damage.MISSING_COPY: ("images without a display copy or thumbnail", "created again"),
    Damage.LOST_ORIGINAL: ("indexed images whose original is gone", "deleted"),
    Damage.ORPHAN_COPY: ("images of which only copies are left", "deleted"),
    Damage.STALE_STAGING: ("uploads and records left over from jobs that are over", "deleted"),
}
"""What is damaged, and how it is repaired."""


def reconcile(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what is found.")] = False,
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="Remake copies and embeddings of photos decoded long ago."),
    ] = False,
    predictions: Annotated[
        bool,
        typer.Option("--predictions", help="Predict species and breeds again from embeddings."),
    ] = False,
    exif_dates: ExifDates = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Compare the index with the object store and repair what a crash left between them.

    With --pixels, queue the photos instead that an older version decoded: with colours, orientation
    or pages that are read otherwise today. Those that nobody has changed get the date of their
    file, unless --no-exif-dates is given. With --predictions, queue all photos; the workers skip
    those whose species and breed the current model and calibration predicted. Both may be
    interrupted and run again.
    """
    if pixels and predictions:
        raise typer.BadParameter("give --pixels or --predictions; each queues a job of its own")
    with opened_storage(data_dir) as storage:
        if pixels:
            _queue_outdated(storage, exif_dates=exif_dates, as_json=as_json)
            return
        if predictions:
            _queue_predictions(storage, as_json=as_json)
            return
        reingesting = _image_job(storage, JobKind.INGEST)
        try:
            with closing(open_decoders(storage.settings)) as decoders:
                reconciler = _reconciler(storage, decoders)
                report = reconciler.fix(reingesting.add) if fix else reconciler.report()
        finally:
            reingesting.seal()
    if as_json:
        print_json(_as_json(report, reingesting.job_id))
    else:
        _print(report, reingesting.job_id, with_fix=fix)
    if report.fixed != report.found:
        raise typer.Exit(EXIT_PARTLY)


def _image_job(storage: Storage, kind: JobKind, *, exif_dates: bool = False) -> ImageJob:
    return ImageJob(
        store=storage.store,
        ledger=storage.ledger,
        dispatcher=storage.dispatcher,
        clock=storage.clock,
        kind=kind,
        exif_dates=exif_dates,
    )


def _queue_predictions(storage: Storage, *, as_json: bool) -> None:
    """Queue all photos; the workers know which predictions are current."""
    pages = id_pages(storage.index, _current_collection(storage), QUEUED_AT_A_TIME)
    job_id, count = _queue(_image_job(storage, JobKind.PREDICTIONS), pages)
    if as_json:
        print_json({"queued": count, "job_id": job_id})
    elif job_id is None:
        print_line("There are no photos yet.")
    else:
        print_line(
            f"Job {job_id} looks at {count} photos, in the workers or when the server starts."
        )


def _queue(job: ImageJob, pages: Iterable[Sequence[str]]) -> tuple[str | None, int]:
    count = 0
    try:
        for image_ids in pages:
            job.add(image_ids)
            count += len(image_ids)
    finally:
        job.seal()
    return job.job_id, count


def _queue_outdated(storage: Storage, *, exif_dates: bool, as_json: bool) -> None:
    """Queue the photos whose pixels are of an older version."""
    pages = outdated_images(storage.index, _current_collection(storage))
    job = _image_job(storage, JobKind.PIXELS, exif_dates=exif_dates)
    job_id, count = _queue(job, pages)
    if as_json:
        print_json({"outdated": count, "job_id": job_id})
    elif job_id is None:
        print_line("The pixels of all photos are of this version.")
    else:
        print_line(f"{count} photos are of an older version.")
        print_line(f"Job {job_id} remakes them, in the workers or when the server starts.")


def _current_collection(storage: Storage) -> str:
    if (collection := storage.index.current()) is None:
        raise ConfigurationError("There is no collection yet, so there is nothing to compare.")
    return collection


def _reconciler(storage: Storage, decoders: Decoders) -> Reconciler:
    return Reconciler(
        index=storage.index,
        writer=FanOutIndex(storage.index, storage.write_set),
        store=storage.store,
        ledger=storage.ledger,
        collection=_current_collection(storage),
        decoders=decoders,
        clock=storage.clock,
    )


def _print(report: Report, job_id: str | None, *, with_fix: bool) -> None:
    print_line(f"{report.images} images and {report.staged} waiting uploads compared.")
    for damage, count in report.counts.items():
        if count:
            what, repaired = _DESCRIPTIONS[damage]
            print_line(f"{count} {what}: {repaired}." if with_fix else f"{count} {what}.")
    for finding in report.findings:
        if finding.problem:
            print_line(f"{finding.name}: not repaired. {finding.problem}")
    if report.left_alone:
        print_line(
            f"{report.left_alone} look damaged, and changed within the last hour, as after a "
            "restore: skipped. Run it again in an hour."
        )
    if job_id is not None:
        print_line(f"Job {job_id} ingests them, in the workers or when the server starts.")
    if not report.found:
        print_line("Nothing else is wrong." if report.left_alone else "Nothing is wrong.")
    elif not with_fix:
        print_line("Run it again with --fix to repair this.")


def _as_json(report: Report, job_id: str | None) -> JsonDict:
    return {
        "images": report.images,
        "staged": report.staged,
        "left_alone": report.left_alone,
        "counts": report.counts,
        "found": report.found,
        "fixed": report.fixed,
        "findings": [asdict(finding) for finding in report.findings],
        "job_id": job_id,
    }
