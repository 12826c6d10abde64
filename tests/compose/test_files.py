"""The compose files together, as Docker Compose reads them."""

import pytest

from tests.compose.projects import docker, files_of, on_engine
from tests.compose.test_production import SECRETS
from tests.infra.compose_files import ROOT
from tests.infra.test_compose_overrides import SECRETS as ACCOUNT_SECRETS

pytestmark = [*on_engine, pytest.mark.smoke]
GPU, PROD, CLUSTER, ACCOUNTS = (
    f"docker-compose.{name}.yml" for name in ("gpu", "prod", "cluster", "accounts")
)


@pytest.mark.parametrize(
    "names",
    [
        *((), (GPU,), (PROD,), (CLUSTER,), (ACCOUNTS,)),
        *((PROD, GPU), (CLUSTER, GPU), (CLUSTER, PROD), (PROD, ACCOUNTS)),
    ],
    ids="+".join,
)
def test_every_combination_of_files_is_valid(names: tuple[str, ...]) -> None:
    env = {**SECRETS, **ACCOUNT_SECRETS, "COMPOSE_FILE": files_of(ROOT, *names)}
    docker("compose", "config", "--quiet", env=env)
