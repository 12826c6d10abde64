"""docker-compose.cluster.yml: searches and uploads go on without one of three Qdrant nodes."""

import time

import pytest

from tests import pictures
from tests.compose.projects import has_real_qdrant, on_engine, project, searching, wait_until

pytestmark = on_engine
CLUSTER = "docker-compose.cluster.yml"
AWAY_S = 20.0


def test_searches_and_uploads_go_on_without_one_node_of_three() -> None:
    if not has_real_qdrant():
        pytest.skip("the stand-in for Qdrant is no cluster: QDRANT_BINARY=… make base-images")
    with project("cluster", CLUSTER, APIS="2", EMBEDDERS="1", WORKERS="1") as cluster:
        cluster.start()
        catalogue = cluster.catalogue
        for number, node in enumerate(("qdrant", "qdrant-1", "qdrant-2")):
            cluster.compose("stop", node)
            with searching(catalogue.url) as statuses:
                assert catalogue.upload(pictures.jpeg(number)).status_code == 202
                catalogue.wait_for(number + 1)
                time.sleep(AWAY_S)
            assert set(statuses) == {200}
            assert len(statuses) > AWAY_S / 2
            cluster.compose("start", node)
            wait_until(lambda: cluster.is_healthy(node))  # noqa: B023  # it ends here
        assert catalogue.search().json()["items"]
