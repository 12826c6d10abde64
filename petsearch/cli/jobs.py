"""The commands under `petsearch jobs`: list, show, watch, and change the course of a job."""

from typing import Annotated

import typer

from petsearch.cli.output import (
    DEFAULT_API,
    EXIT_PARTLY,
    Api,
    Json,
    connect,
    print_job,
    print_json,
    print_table,
    problems_of,
    progress_bar,
    say,
)
from petsearch.client import Client
from petsearch.domain import JsonDict

app = typer.Typer(help="List jobs, watch one, change its course.", invoke_without_command=True)

JobId = Annotated[str, typer.Argument(help="As `petsearch jobs` lists it.")]


@app.callback()
def list_jobs(
    context: typer.Context,
    *,
    api: Api = DEFAULT_API,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
) -> None:
    """Without a command: the newest jobs."""
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
def show(job_id: JobId, *, api: Api = DEFAULT_API, as_json: Json = False) -> None:
    """One job, with its refused and failed photos."""
    with connect(api) as client:
        job = client.job(job_id)
        print_job(job, problems_of(client, job), 0, as_json=as_json)


@app.command()
def watch(job_id: JobId, *, api: Api = DEFAULT_API, as_json: Json = False) -> None:
    """Follow a job until it ends."""
    with connect(api) as client:
        job = follow(client, job_id)
        problems = problems_of(client, job)
        print_job(job, problems, 0, as_json=as_json)
    if problems or job["state"] == "failed":
        raise typer.Exit(EXIT_PARTLY)


@app.command()
def pause(job_id: JobId, *, api: Api = DEFAULT_API) -> None:
    """Stop a job until it is resumed."""
    _control(api, job_id, "pause")


@app.command()
def resume(job_id: JobId, *, api: Api = DEFAULT_API) -> None:
    """Go on with a paused job."""
    _control(api, job_id, "resume")


@app.command()
def cancel(job_id: JobId, *, api: Api = DEFAULT_API) -> None:
    """End a job. What was ingested stays."""
    _control(api, job_id, "cancel")


@app.command()
def retry(job_id: JobId, *, api: Api = DEFAULT_API) -> None:
    """Try the failed photos of an ended job again."""
    _control(api, job_id, "retry")


@app.command()
def delete(job_id: JobId, *, api: Api = DEFAULT_API) -> None:
    """Forget an ended job. Its images stay."""
    with connect(api) as client:
        client.delete_job(job_id)
    say(f"Job {job_id} is forgotten.")


def follow(client: Client, job_id: str) -> JsonDict:
    """Show a bar until the job has ended; the job."""
    with progress_bar() as bar:
        task = bar.add_task("ingest", total=None, note="")
        job: JsonDict = {}
        for job in client.watch_job(job_id):  # the last one is the answer
            size = job["total"] if job["sealed"] else job["expected"]
            rate = job["rate_per_s"]
            note = job["reason"] or (f"{rate:.0f}/s" if rate else job["state"])
            bar.update(task, completed=job["done"], total=size, note=note)
        return job


def _control(api: str, job_id: str, action: str) -> None:
    with connect(api) as client:
        job = client.control_job(job_id, action)
    say(f"Job {job_id} is {job['state'].replace('_', ' ')}: {job['done']} of {job['total']}.")
