"""The form fields of an upload that say how its photos are ingested."""

from typing import Annotated

from fastapi import Depends, Form, Request

from petsearch.domain import JobOptions, OnDuplicate
from services.api.callers import caller_of
from services.api.schemas.jobs import EXIF_DATES, GPS, ON_DUPLICATE


async def _job_form(
    request: Request,
    *,
    on_duplicate: Annotated[OnDuplicate, Form(description=ON_DUPLICATE)] = OnDuplicate.MERGE,
    exif_dates: Annotated[bool, Form(description=EXIF_DATES)] = True,
    gps: Annotated[bool, Form(description=GPS)] = False,
) -> JobOptions:
    return JobOptions(
        on_duplicate=on_duplicate,
        exif_dates=exif_dates,
        gps=gps,
        sees_places=caller_of(request).sees_places,
    )


JobFormDep = Annotated[JobOptions, Depends(_job_form)]
