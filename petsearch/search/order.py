"""Hits in another order than that of their scores."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from petsearch.domain import Hit
from petsearch.domain.dates import in_zone
from petsearch.domain.errors import InvalidInput
from petsearch.search.pages import MAX_DEPTH, Rank, best_of_animals
from petsearch.search.query import SearchOptions

_NEVER = datetime.min.replace(tzinfo=UTC)


def in_order(rank: Rank, options: SearchOptions) -> Rank:
    """Rank as `rank` does, then put the best `MAX_DEPTH` hits into the order that is asked for.

    Of a group only its best hit is ordered, so that it is shown by the same photo in each order.

    Raises:
        InvalidInput: a distance from nowhere.
    """
    if options.sort == "score":
        return rank
    best = rank(limit=MAX_DEPTH)
    hits = sorted(best_of_animals(best) if options.group_by else best, key=_key_of(options))

    def ordered(*, limit: int) -> Sequence[Hit]:  # noqa: ARG001  # all that there are
        return hits

    return ordered


def _key_of(options: SearchOptions) -> Callable[[Hit], tuple[float | timedelta, float]]:
    near = options.filters.near

    def distance(hit: Hit) -> tuple[float, float]:
        place = hit.record.metadata.location
        assert near is not None and place is not None, "only photos with a place are near one"
        return near.metres_to(place), -hit.score

    def age(hit: Hit) -> tuple[timedelta, float]:
        time = hit.record.created_at if options.sort == "created_at" else hit.record.taken_at
        # Not in seconds: as floats, those since the year 1 are exact to some 8 microseconds.
        return _NEVER - (in_zone(time, UTC) if time else _NEVER), -hit.score

    if options.sort != "distance":
        return age
    if near is None:
        raise InvalidInput("sort: distance needs a place; give near, such as near=52.52,13.40,5.")
    return distance
