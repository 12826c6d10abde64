"""`Filters` as a filter of the Qdrant client."""

from collections.abc import Sequence

from qdrant_client import models

from petsearch.adapters.qdrant_payload import LOCATION_FIELD, keyword_conditions, time_conditions
from petsearch.model import Filters, Near

_METRES_PER_KM = 1000.0


def to_filter(filters: Filters, *, also_exclude: Sequence[str] = ()) -> models.Filter | None:
    """None where nothing is asked for."""
    must: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchValue(value=value))
        for key, value in keyword_conditions(filters)
    ]
    must += [
        models.FieldCondition(key=key, range=models.DatetimeRange(gte=times.since, lt=times.until))
        for key, times in time_conditions(filters)
    ]
    if filters.near is not None:
        must.append(models.FieldCondition(key=LOCATION_FIELD, geo_radius=_circle(filters.near)))
    excluded = [*filters.exclude_ids, *also_exclude]
    if not must and not excluded:
        return None
    must_not: list[models.Condition] = [models.HasIdCondition(has_id=[*excluded])]
    return models.Filter(must=must, must_not=must_not if excluded else None)


def _circle(near: Near) -> models.GeoRadius:
    centre = models.GeoPoint(lon=near.lon, lat=near.lat)
    return models.GeoRadius(center=centre, radius=near.km * _METRES_PER_KM)
