"""`Filters` as a filter of Qdrant Edge."""

import uuid
from collections.abc import Sequence

import qdrant_edge as edge

from petsearch.adapters.qdrant_payload import LOCATION_FIELD, keyword_conditions, time_conditions
from petsearch.model import Filters, Near, TimeRange

_METRES_PER_KM = 1000.0


def to_filter(filters: Filters, *, also_exclude: Sequence[str] = ()) -> edge.Filter | None:
    """None where nothing is asked for."""
    must = [
        edge.FieldCondition(key, match=edge.MatchValue(value))
        for key, value in keyword_conditions(filters)
    ]
    must += [
        edge.FieldCondition(key, range=_range(times)) for key, times in time_conditions(filters)
    ]
    if filters.near is not None:
        must.append(edge.FieldCondition(LOCATION_FIELD, geo_radius=_circle(filters.near)))
    excluded: set[int | uuid.UUID | str] = {*filters.exclude_ids, *also_exclude}
    must_not = [edge.HasIdCondition(excluded)] if excluded else []
    if not must and not must_not:
        return None
    return edge.Filter(must=[*must], must_not=[*must_not])


def _range(times: TimeRange) -> edge.RangeDateTime:
    since, until = (time.isoformat() if time else None for time in (times.since, times.until))
    return edge.RangeDateTime(gte=since, lt=until)


def _circle(near: Near) -> edge.GeoRadius:
    return edge.GeoRadius(edge.GeoPoint(near.lon, near.lat), near.km * _METRES_PER_KM)
