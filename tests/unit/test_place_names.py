"""Which attributes tell a place by their names."""

import pytest

from petsearch.domain.places import names_place

TELLING = (
    *("location", "Found location", "foundLocation", "ANIMALLOCATION", "LAT", "gpsLat", "lat/lon"),
    *("Street address", "Straße", "adresse", "road", "zip", "zip_code", "postcode", "place found"),
    *("GPSPosition", "GPSLat", "GPSCoords", "coords", "Koordinaten"),
)
OTHERS = (
    *("collar", "replaced", "placement", "flat", "long hair", "zipper", "latest", "chip"),
    *("description", "note", "colour", "city", "intake_date", "nowhere"),
    *("hip_dislocation", "relocation fee"),
)


@pytest.mark.parametrize("name", TELLING)
def test_a_name_of_a_place_is_one(name: str) -> None:
    assert names_place(name)


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_none(name: str) -> None:
    assert not names_place(name)
