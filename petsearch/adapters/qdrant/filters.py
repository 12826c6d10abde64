"""`Filters` as a filter of the Qdrant client."""

from qdrant_client import models

from petsearch.adapters.qdrant.conditions import METRES_PER_KM, conditions_of
from petsearch.adapters.qdrant.payload import LOCATION_FIELD, VERSION_FIELD
from petsearch.domain import Filters, ImageRecord, Near


def to_filter(filters: Filters) -> models.Filter | None:
    """None for filters without conditions."""
    wanted = conditions_of(filters)
    must = [
        *(
            models.FieldCondition(key=field, match=models.MatchValue(value=value))
            for field, value in wanted.equal
        ),
        *(
            models.FieldCondition(key=field, match=models.MatchAny(any=values))
            for field, values in wanted.any_of.items()
        ),
        *(
            models.FieldCondition(key=field, range=models.Range(gte=least))
            for field, least in wanted.at_least.items()
        ),
        *(
            models.FieldCondition(
                key=field, range=models.DatetimeRange(gte=times.since, lt=times.until)
            )
            for field, times in wanted.times.items()
        ),
    ]
    if wanted.near is not None:
        must.append(models.FieldCondition(key=LOCATION_FIELD, geo_radius=_circle(wanted.near)))
    if not must and not wanted.excluded_ids:
        return None
    excluded: list[models.Condition] = [models.HasIdCondition(has_id=[*wanted.excluded_ids])]
    return models.Filter(must=[*must], must_not=excluded if wanted.excluded_ids else None)


def filter_of_version(record: ImageRecord) -> models.Filter:
    """Matches the point of `record` as long as it is unchanged."""
    version = models.DatetimeRange(gte=record.updated_at, lte=record.updated_at)
    return models.Filter(
        must=[
            models.HasIdCondition(has_id=[record.image_id]),
            models.FieldCondition(key=VERSION_FIELD, range=version),
        ]
    )


def _circle(near: Near) -> models.GeoRadius:
    return models.GeoRadius(
        center=models.GeoPoint(lon=near.lon, lat=near.lat), radius=near.km * METRES_PER_KM
    )
