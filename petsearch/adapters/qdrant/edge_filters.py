"""`Filters` as a filter of Qdrant Edge."""

import uuid

import qdrant_edge as edge

from petsearch.adapters.qdrant.conditions import METRES_PER_KM, conditions_of
from petsearch.adapters.qdrant.payload import LOCATION_FIELD, VERSION_FIELD
from petsearch.domain import Filters, ImageRecord, Near, TimeRange


def to_filter(filters: Filters) -> edge.Filter | None:
    """None for filters without conditions."""
    wanted = conditions_of(filters)
    must = [
        *(edge.FieldCondition(name, match=edge.MatchValue(value)) for name, value in wanted.equal),
        *(
            edge.FieldCondition(field, match=edge.MatchAny([*values]))
            for field, values in wanted.any_of.items()
        ),
        *(
            edge.FieldCondition(field, range=edge.RangeFloat(gte=least))
            for field, least in wanted.at_least.items()
        ),
        *(edge.FieldCondition(field, range=_range(times)) for field, times in wanted.times.items()),
    ]
    if wanted.near is not None:
        must.append(edge.FieldCondition(LOCATION_FIELD, geo_radius=_circle(wanted.near)))
    if not must and not wanted.excluded_ids:
        return None
    excluded: set[int | uuid.UUID | str] = {*wanted.excluded_ids}
    return edge.Filter(must=[*must], must_not=[edge.HasIdCondition(excluded)] if excluded else [])


def filter_of_version(record: ImageRecord) -> edge.Filter:
    """Matches the point of `record` as long as it is unchanged."""
    at = record.updated_at.isoformat()
    version = edge.FieldCondition(VERSION_FIELD, range=edge.RangeDateTime(gte=at, lte=at))
    return edge.Filter(must=[edge.HasIdCondition({record.image_id}), version])


def _range(times: TimeRange) -> edge.RangeDateTime:
    since, until = (time.isoformat() if time else None for time in (times.since, times.until))
    return edge.RangeDateTime(gte=since, lt=until)


def _circle(near: Near) -> edge.GeoRadius:
    return edge.GeoRadius(edge.GeoPoint(near.lon, near.lat), near.km * METRES_PER_KM)
