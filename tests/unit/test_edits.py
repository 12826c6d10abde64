"""Changes of an image's metadata, by the record alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from petsearch.catalogue.edit import amended
from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput
from tests.contract.records import record
from tests.contract.tiny_clip import TinyClip

MODEL = TinyClip().info
NOW = datetime(2026, 2, 1, tzinfo=UTC)
BEYOND = ImageMetadata(
    filename=f"folder/{'f' * 300}",
    breed="b" * 201,
    species="s" * 201,
    animal_id="a" * 201,
    status="t" * 201,
    tags=tuple(f"tag {number}" for number in range(60)),
    taken_at=datetime(2025, 5, 17, tzinfo=UTC),
    attributes={f"name {number}": "x" for number in range(60)},
    location=(52.123456789, 13.123456789),
    source_path="p" * 1200,
)
"""What no client could send, as earlier versions stored it."""


def after(**changes: Any) -> ImageMetadata:
    return amended(replace(record(1), metadata=BEYOND), changes, MODEL, NOW).metadata


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"filename": "a.jpg"}, {"filename": "a.jpg"}),
        ({"breed": "Siamese"}, {"breed": "siamese", "species": "cat"}),
        ({"breed": None}, {"breed": None}),
        ({"species": "Cat"}, {"species": "cat"}),
        ({"animal_id": "A-17"}, {"animal_id": "A-17"}),
        ({"status": "Adopted"}, {"status": "adopted"}),
        ({"tags": ["shy"]}, {"tags": ("shy",)}),
        ({"attributes": None}, {"attributes": {}}),
        ({"location": {"lat": 1, "lon": 2}}, {"location": (1.0, 2.0)}),
        ({"taken_at": "2024-01-01T00:00:00Z"}, {"taken_at": datetime(2024, 1, 1, tzinfo=UTC)}),
    ],
)
def test_only_what_is_named_is_validated_and_changed(
    changes: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert after(**changes) == replace(BEYOND, **stored)


@pytest.mark.parametrize("field", ["breed", "species", "animal_id", "status"])
def test_what_is_named_has_its_limits(field: str) -> None:
    with pytest.raises(InvalidInput, match=f"{field}: must have at most 200 characters"):
        after(**{field: "x" * 201})


def test_attributes_that_are_named_have_their_limit_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="attributes: must have at most 50 items"):
        after(attributes={"collar": "red"})
    fewer = {f"name {number}": None for number in range(10)}
    assert len(after(attributes=fewer).attributes) == 50


@pytest.mark.parametrize("changes", [{}, {"taken_at_precision": None}, {"nobody knows": None}])
def test_what_changes_nothing_leaves_the_record_as_it_is(changes: dict[str, Any]) -> None:
    stored = replace(record(1), metadata=BEYOND)
    assert amended(stored, changes, MODEL, NOW) is stored
