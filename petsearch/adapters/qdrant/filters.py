"""`Filters` as a filter of the Qdrant client."""

from qdrant_client import models

from petsearch.adapters.qdrant.conditions import METRES_PER_KM, Conditions, Named
from petsearch.adapters.qdrant.payload import PAYLOAD_VERSION, PAYLOAD_VERSION_FIELD, VERSION_FIELD
from petsearch.domain import ImageRecord, Near


def to_filter(wanted: Conditions) -> models.Filter | None:
    """None where there are no conditions."""
    must: list[models.Condition] = [
        *(_one_holds(fields) for fields in wanted.any_of),
        *(_absent(field) for field in wanted.absent),
        *(models.Filter(should=[_named(name) for name in names]) for names in wanted.named),
        *(_at_least(field, least) for field, least in wanted.at_least.items()),
        *(
            models.FieldCondition(
                key=field, range=models.DatetimeRange(gte=times.since, lt=times.until)
            )
            for field, times in wanted.times.items()
        ),
    ]
    if wanted.near is not None:
        must.append(models.FieldCondition(key=wanted.near_field, geo_radius=_circle(wanted.near)))
    must_not: list[models.Condition] = [
        *(_holds(field, values) for field, values in wanted.none_of),
        *(_certain(name) for name in wanted.not_named),
    ]
    if wanted.is_outdated:
        must_not.append(_at_least(PAYLOAD_VERSION_FIELD, PAYLOAD_VERSION))
    if wanted.excluded_ids:
        must_not.append(models.HasIdCondition(has_id=[*wanted.excluded_ids]))
    if not must and not must_not:
        return None
    return models.Filter(must=must, must_not=must_not or None)


def filter_of_version(record: ImageRecord) -> models.Filter:
    """Matches the point of `record` as long as it is unchanged."""
    version = models.DatetimeRange(gte=record.updated_at, lte=record.updated_at)
    return models.Filter(
        must=[
            models.HasIdCondition(has_id=[record.image_id]),
            models.FieldCondition(key=VERSION_FIELD, range=version),
        ]
    )


def _named(one: Named) -> models.Condition:
    """Stated, or neither stated nor ruled out by a guess of another name."""
    if one.sure_from is None:
        return _holds(one.stated, [one.name])
    ruled_out = models.Filter(
        must=[_at_least(field, least) for field, least in one.least.items()],
        must_not=[_holds(one.guessed, [one.name])],
    )
    also = [_named(one.also)] if one.also else []
    open_ = models.Filter(must=[_absent(one.stated), *also], must_not=[ruled_out])
    return models.Filter(should=[_holds(one.stated, [one.name]), open_])


def _certain(one: Named) -> models.Condition:
    """Stated, or not stated and guessed for sure."""
    stated = _holds(one.stated, [one.name])
    if one.sure_from is None:
        return stated
    sure = [_at_least(field, least) for field, least in one.least.items()]
    guessed = [_absent(one.stated), _holds(one.guessed, [one.name]), *sure]
    return models.Filter(should=[stated, models.Filter(must=guessed)])


def _one_holds(fields: dict[str, list[str]]) -> models.Condition:
    held = [_holds(field, values) for field, values in fields.items()]
    return held[0] if len(held) == 1 else models.Filter(should=[*held])


def _holds(field: str, values: list[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=values))


def _at_least(field: str, least: float) -> models.FieldCondition:
    return models.FieldCondition(key=field, range=models.Range(gte=least))


def _absent(field: str) -> models.IsEmptyCondition:
    return models.IsEmptyCondition(is_empty=models.PayloadField(key=field))


def _circle(near: Near) -> models.GeoRadius:
    return models.GeoRadius(
        center=models.GeoPoint(lon=near.lon, lat=near.lat), radius=near.km * METRES_PER_KM
    )
