"""The command `petsearch reconcile`: builds what it needs, runs it, prints the report."""

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from petsearch.app.connections import image_limits
from petsearch.app.services import Storage
from petsearch.cli.storage import opened_storage
from petsearch.domain import JsonDict
from petsearch.domain.errors import ConfigurationError
from petsearch.maintenance import Damage, Finding, Reconciler, Report
from petsearch.maintenance.reingest import Reingesting

_WORDS = {
    Damage.HALF_DELETED: ("deletes that were cut off", "finished"),
    Damage.MISSING_POINT: ("originals that are not indexed", "queued to be ingested again"),
    Damage.MISSING_COPY: ("images without a display copy or thumbnail", "made again"),
    Damage.LOST_ORIGINAL: ("indexed images whose original is gone", "deleted"),
    Damage.ORPHAN_COPY: ("images of which only copies are left", "deleted"),
    Damage.STALE_STAGING: ("uploads left over from jobs that are over", "deleted"),
}
_output = Console()


def reconcile(data_dir: Path | None, *, fix: bool, as_json: bool) -> bool:
    """Compare index and store, mend if asked, print a report; whether nothing is wrong now.

    Args:
        data_dir: of a single-process server that is not running; None for what the settings name.

    Raises:
        ConfigurationError: the folder is in use or no data folder, or an address is missing.
        Unavailable: a server does not answer.
    """
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
        sys.stdout.write(json.dumps(_as_json(report, reingesting.job_id), indent=2) + "\n")
    else:
        _print(report, reingesting.job_id, asked_to_fix=fix)
    return report.fixed == report.found


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


def _print(report: Report, job_id: str | None, *, asked_to_fix: bool) -> None:
    _say(f"{report.images} images and {report.staged} waiting uploads compared.")
    for damage, count in report.counts.items():
        if count:
            what, mended = _WORDS[damage]
            _say(f"{count} {what}: {mended}." if asked_to_fix else f"{count} {what}.")
    for finding in report.findings:
        if finding.problem:
            _say(f"{finding.name}: not mended. {finding.problem}")
    if report.left_alone:
        _say(f"{report.left_alone} changed within the last hour and were left alone.")
    if job_id is not None:
        _say(f"Job {job_id} ingests them, in the workers or when the server starts.")
    if not report.found:
        _say("Nothing is wrong.")
    elif not asked_to_fix:
        _say("Run again with --fix to mend this.")


def _say(line: str) -> None:
    _output.print(escape(line), highlight=False, soft_wrap=True)


def _as_json(report: Report, job_id: str | None) -> JsonDict:
    return {
        "images": report.images,
        "staged": report.staged,
        "left_alone": report.left_alone,
        "counts": {damage.value: count for damage, count in report.counts.items()},
        "found": report.found,
        "fixed": report.fixed,
        "findings": [_finding_as_json(finding) for finding in report.findings],
        "job_id": job_id,
    }


def _finding_as_json(finding: Finding) -> JsonDict:
    return {
        "damage": finding.damage.value,
        "name": finding.name,
        "fixed": finding.fixed,
        "problem": finding.problem,
    }
