"""The command `petsearch reconcile`."""

from dataclasses import asdict
from typing import Annotated

import typer

from petsearch.app.connections import image_limits
from petsearch.app.services import Storage
from petsearch.cli.output import EXIT_PARTLY, Json, print_json, print_line
from petsearch.cli.storage import DataDir, opened_storage
from petsearch.domain import JsonDict
from petsearch.domain.errors import ConfigurationError
from petsearch.maintenance import Damage, Reconciler, Report
from petsearch.maintenance.reingest import Reingesting

_DESCRIPTIONS = {
    Damage.HALF_DELETED: ("deletes that were interrupted", "finished"),
    Damage.MISSING_POINT: ("originals that are not indexed", "queued to be ingested again"),
    Damage.MISSING_COPY: ("images without a display copy or thumbnail", "created again"),
    Damage.LOST_ORIGINAL: ("indexed images whose original is gone", "deleted"),
    Damage.ORPHAN_COPY: ("images of which only copies are left", "deleted"),
    Damage.STALE_STAGING: ("uploads left over from jobs that have ended", "deleted"),
}
"""What is damaged, and how it is repaired."""


def reconcile(
    *,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what is found.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Compare the index with the object store and repair what a crash left between them."""
    with opened_storage(data_dir) as storage:
        reconciler = _reconciler(storage)
        reingesting = Reingesting(
            store=storage.store,
            ledger=storage.ledger,
            dispatcher=storage.dispatcher,
            clock=storage.clock,
        )
        try:
            report = reconciler.fix(reingesting.add) if fix else reconciler.report()
        finally:
            reingesting.seal()
    if as_json:
        print_json(_as_json(report, reingesting.job_id))
    else:
        _print(report, reingesting.job_id, with_fix=fix)
    if report.fixed != report.found:
        raise typer.Exit(EXIT_PARTLY)


def _reconciler(storage: Storage) -> Reconciler:
    collection = storage.index.current()
    if collection is None:
        raise ConfigurationError("There is no collection yet, so there is nothing to compare.")
    return Reconciler(
        index=storage.index,
        writer=storage.writer,
        store=storage.store,
        ledger=storage.ledger,
        collection=collection,
        limits=image_limits(storage.settings),
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
        print_line(f"{report.left_alone} changed within the last hour and were skipped.")
    if job_id is not None:
        print_line(f"Job {job_id} ingests them, in the workers or when the server starts.")
    if not report.found:
        print_line("Nothing is wrong.")
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
