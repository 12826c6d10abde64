"""Connections to Qdrant servers, before anything is sent."""

import warnings

from petsearch.adapters.qdrant.index import connect


def test_a_key_within_a_network_of_containers_is_no_reason_for_a_warning() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        connect("http://qdrant:6333", api_key="for-qdrant").close()
    assert [str(warning.message) for warning in said] == []
