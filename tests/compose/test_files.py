"""The compose files together, as Docker Compose reads them."""

import pytest

from tests.compose.projects import docker, files_of, on_engine
from tests.compose.test_production import SECRETS
from tests.infra.compose_files import ROOT

pytestmark = [*on_engine, pytest.mark.smoke]
GPU, PROD, CLUSTER = (f"docker-compose.{name}.yml" for name in ("gpu", "prod", "cluster"))


@pytest.mark.parametrize(
    "names",
    [(), (GPU,), (PROD,), (CLUSTER,), (PROD, GPU), (CLUSTER, GPU), (CLUSTER, PROD)],
    ids="+".join,
)
def test_every_combination_of_files_is_valid(names: tuple[str, ...]) -> None:
    env = {**SECRETS, "COMPOSE_FILE": files_of(ROOT, *names)}
    docker("compose", "config", "--quiet", env=env)
