"""The commands under `petsearch jobs`, and how every command follows and prints a job."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from petsearch.cli.connection import Api, connect
from petsearch.cli.output import (
    EXIT_PARTLY,
    Json,
    print_json,
    print_line,
    print_message,
    print_progress,
    print_table,
    progress_bar,
)
from petsearch.client import Client, PhotoSource
from petsearch.domain import MOST_LEFT_OUT_NAMES, JsonDict, LeftOut
from petsearch.domain.metadata import safe_path

app = typer.Typer(
    help="List, watch and control jobs.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
)

NO_PHOTOS = PhotoSource(iter(()), 0)
_SHOWN_NAMES = 5
_LEFT_OUT = {
    "not_a_photo": "not photos",
    "video": "videos",
    "sidecar": "sidecars without a photo",
    "sidecar_used": "sidecars that were read",
    "junk": "system files",
    "archive": "archives",
    "link": "links to folders",
    "column": "columns",
    "row": "rows without a photo",
    "special": "no files",
}
"""What is left out, as people read it."""

JobId = Annotated[str, typer.Argument(help="As listed by `petsearch jobs`.")]


@app.callback()
def list_jobs(
    context: typer.Context,
    *,
    api: Api = None,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
) -> None:
    """List the newest jobs, or run one of the commands below."""
    if context.invoked_subcommand is not None:
        return
    with connect(api) as client:
        found = client.jobs(limit)
    if as_json:
        print_json({"items": found})
        return
    rows = [
        (job["job_id"], job["state"], f"{job['done']}/{job['total']}", job["source"])
        for job in found
    ]
    print_table(("job", "state", "done", "source"), rows, empty="There are no jobs yet.")


@app.command()
def show(job_id: JobId, *, api: Api = None, as_json: Json = False) -> None:
    """Show a job, with the photos that were rejected or failed."""
    with connect(api) as client:
        job = client.job(job_id)
        problems = problems_of(client, job)
        if as_json:
            print_json({"job": job, "problems": problems, "left_out": job["left_out"]})
        else:
            print_job(client, job, problems, job["left_out"])


@app.command()
def watch(job_id: JobId, *, api: Api = None, as_json: Json = False) -> None:
    """Follow a job until it ends."""
    with connect(api) as client:
        finish(client, follow(client, job_id), as_json=as_json)


@app.command()
def pause(job_id: JobId, *, api: Api = None) -> None:
    """Pause a job until it is resumed."""
    _control(api, job_id, "pause")


@app.command()
def resume(job_id: JobId, *, api: Api = None) -> None:
    """Resume a paused job."""
    _control(api, job_id, "resume")


@app.command()
def cancel(job_id: JobId, *, api: Api = None) -> None:
    """Cancel a job. What was ingested stays."""
    _control(api, job_id, "cancel")


@app.command()
def retry(job_id: JobId, *, api: Api = None) -> None:
    """Retry the failed photos of a job that has ended."""
    _control(api, job_id, "retry")


@app.command()
def delete(job_id: JobId, *, api: Api = None) -> None:
    """Delete the record of a job that has ended. Its images stay."""
    with connect(api) as client:
        client.delete_job(job_id)
    print_message(f"Job {job_id} is deleted.")


def follow(client: Client, job_id: str) -> JsonDict:
    """Show a progress bar until a job has ended, and return the job."""
    job: JsonDict = {}
    say_reason = reason_printer()
    with progress_bar() as bar:
        task = bar.add_task("ingest", total=None)
        for job in client.watch_job(job_id):
            say_reason(job)
            rate = f"{job['rate_per_s']:.0f}/s" if job["rate_per_s"] else job["state"]
            bar.update(task, completed=job["done"], total=size_of(job), note=job["reason"] or rate)
    return job


def size_of(job: JsonDict) -> int | None:
    """How many photos a job has in the end; None while that is not known."""
    size: int | None = job["total"] if job["sealed"] else job["expected"]
    return size


def reason_printer() -> Callable[[JsonDict], None]:
    """A function that prints why a job waits when that changes, where no progress bar shows it."""
    said: str | None = None

    def say(job: JsonDict) -> None:
        nonlocal said
        before, said = said, None if job["finished_at"] else job["reason"]
        if said not in (None, before):
            print_progress(f"Job {job['job_id']}: {said}")

    return say


def problems_of(client: Client, job: JsonDict) -> list[JsonDict]:
    """The items of a job that were rejected or failed."""
    return [
        item
        for status in ("refused", "failed")
        if job["counts"][status]
        for item in client.job_items(job["job_id"], status)
    ]


def finish(
    client: Client,
    job: JsonDict,
    source: PhotoSource = NO_PHOTOS,
    *,
    as_json: bool,
) -> None:
    """Print a job; exit code 3 if it has ended without success, or photos were rejected or failed.

    A job that was cancelled or found nothing is no success.

    Args:
        source: what was uploaded.
    """
    problems = problems_of(client, job)
    problems += [
        {"filename": name, "status": "failed", "reason": reason}
        for name, reason in source.unreadable
    ]
    left = _left_out_of(job, source.left_out)
    if as_json:
        skipped = sum(left["counts"].values())
        warnings = [{"filename": name, "detail": detail} for name, detail in source.warnings]
        body = {"job": job, "problems": problems, "left_out": left, "skipped": skipped}
        print_json({**body, "warnings": warnings})
    else:
        print_job(client, job, problems, left)
        print_table(("file", "warning"), source.warnings)
    nothing_found = job["sealed"] and not job["total"]
    has_ended_badly = job["finished_at"] is not None and job["state"] != "succeeded"
    if problems or nothing_found or has_ended_badly:
        raise typer.Exit(EXIT_PARTLY)


def _left_out_of(job: JsonDict, left_out: Sequence[LeftOut]) -> JsonDict:
    """What the server and this command left out, as a job states it."""
    if not left_out:
        return dict(job["left_out"])
    names = [{"name": safe_path(entry.name), "reason": entry.reason.value} for entry in left_out]
    counts = Counter(entry.reason.value for entry in left_out)
    return {"counts": dict(counts), "names": names[:MOST_LEFT_OUT_NAMES]}


def print_job(
    client: Client, job: JsonDict, problems: Sequence[JsonDict], left_out: JsonDict
) -> None:
    """Print a job, with the photos that were rejected, failed or have warnings."""
    print_line(f"{job['total']} photos: {counts_of(job)} (job {job['job_id']}, {state_of(job)})")
    if job["reason"]:
        print_line(job["reason"])
    if job["sealed"] and not job["total"]:
        print_line("No photo was found.")
    if left_out["counts"]:
        counts = ", ".join(f"{n} {_LEFT_OUT[reason]}" for reason, n in left_out["counts"].items())
        names = ", ".join(entry["name"] for entry in left_out["names"][:_SHOWN_NAMES])
        more = ", …" if sum(left_out["counts"].values()) > _SHOWN_NAMES else ""
        print_line(f"Left out: {counts} ({names}{more}).")
    rows = [(item["filename"], item["status"], item["reason"] or "") for item in problems]
    print_table(("file", "status", "reason"), rows)
    warned = client.job_items(job["job_id"], warned=True) if job["warned"] else []
    details = [
        (item["filename"], warning["detail"]) for item in warned for warning in item["warnings"]
    ]
    print_table(("file", "warning"), details)


def counts_of(job: JsonDict) -> str:
    """How many photos of a job ended in which status."""
    counts = job["counts"]
    return (
        f"{counts['ingested']} ingested, {counts['duplicate']} were here, "
        f"{counts['refused']} refused, {counts['failed']} failed"
    )


def state_of(job: JsonDict) -> str:
    """The state of a job in words."""
    return str(job["state"]).replace("_", " ")


def _control(api: str | None, job_id: str, action: str) -> None:
    with connect(api) as client:
        job = client.control_job(job_id, action)
    print_message(f"Job {job_id} is {state_of(job)}: {job['done']} of {job['total']}.")
