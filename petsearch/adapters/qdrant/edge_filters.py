"""`Filters` as a filter of Qdrant Edge."""

import qdrant_edge as edge

from petsearch.adapters.qdrant.conditions import METRES_PER_KM, Conditions, Named
from petsearch.adapters.qdrant.payload import PAYLOAD_VERSION, PAYLOAD_VERSION_FIELD, VERSION_FIELD
from petsearch.domain import ImageRecord, Near, TimeRange

_Condition = edge.FieldCondition | edge.HasIdCondition | edge.IsEmptyCondition | edge.Filter


def to_filter(wanted: Conditions) -> edge.Filter | None:
    """None where there are no conditions."""
    must: list[_Condition] = [
        *(_one_holds(fields) for fields in wanted.any_of),
        *(edge.IsEmptyCondition(field) for field in wanted.absent),
        *(edge.Filter(should=[_named(name) for name in names]) for names in wanted.named),
        *(_at_least(field, least) for field, least in wanted.at_least.items()),
        *(edge.FieldCondition(field, range=_range(times)) for field, times in wanted.times.items()),
    ]
    if wanted.near is not None:
        must.append(edge.FieldCondition(wanted.near_field, geo_radius=_circle(wanted.near)))
    must_not: list[_Condition] = [
        *(_holds(field, values) for field, values in wanted.none_of),
        *(_certain(name) for name in wanted.not_named),
    ]
    if wanted.is_outdated:
        must_not.append(_at_least(PAYLOAD_VERSION_FIELD, PAYLOAD_VERSION))
    if wanted.excluded_ids:
        must_not.append(edge.HasIdCondition({*wanted.excluded_ids}))
    return edge.Filter(must=[*must], must_not=[*must_not]) if must or must_not else None


def filter_of_version(record: ImageRecord) -> edge.Filter:
    """Matches the point of `record` as long as it is unchanged."""
    at = record.updated_at.isoformat()
    version = edge.FieldCondition(VERSION_FIELD, range=edge.RangeDateTime(gte=at, lte=at))
    return edge.Filter(must=[edge.HasIdCondition({record.image_id}), version])


def _named(one: Named) -> _Condition:
    """Stated, or neither stated nor ruled out by a guess of another name."""
    if one.sure_from is None:
        return _holds(one.stated, [one.name])
    ruled_out = edge.Filter(
        must=[_at_least(field, least) for field, least in one.least.items()],
        must_not=[_holds(one.guessed, [one.name])],
    )
    also = [_named(one.also)] if one.also else []
    open_ = edge.Filter(must=[edge.IsEmptyCondition(one.stated), *also], must_not=[ruled_out])
    return edge.Filter(should=[_holds(one.stated, [one.name]), open_])


def _certain(one: Named) -> _Condition:
    """Stated, or not stated and guessed for sure."""
    stated = _holds(one.stated, [one.name])
    if one.sure_from is None:
        return stated
    sure = [_at_least(field, least) for field, least in one.least.items()]
    guessed: list[_Condition] = [
        edge.IsEmptyCondition(one.stated),
        _holds(one.guessed, [one.name]),
        *sure,
    ]
    return edge.Filter(should=[stated, edge.Filter(must=[*guessed])])


def _one_holds(fields: dict[str, list[str]]) -> _Condition:
    held = [_holds(field, values) for field, values in fields.items()]
    return held[0] if len(held) == 1 else edge.Filter(should=[*held])


def _holds(field: str, values: list[str]) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchAny([*values]))


def _at_least(field: str, least: float) -> edge.FieldCondition:
    return edge.FieldCondition(field, range=edge.RangeFloat(gte=least))


def _range(times: TimeRange) -> edge.RangeDateTime:
    since, until = (time.isoformat() if time else None for time in (times.since, times.until))
    return edge.RangeDateTime(gte=since, lt=until)


def _circle(near: Near) -> edge.GeoRadius:
    return edge.GeoRadius(edge.GeoPoint(near.lon, near.lat), near.km * METRES_PER_KM)
