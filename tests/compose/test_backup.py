"""A backup, the loss of all volumes, and the restore, by the commands of docs/operations.md."""

from pathlib import Path

from tests import pictures
from tests.compose.projects import Project, on_engine

pytestmark = on_engine


def test_everything_is_there_after_the_loss_of_all_volumes(plain: Project, tmp_path: Path) -> None:
    catalogue, folder = plain.catalogue, {"/srv/backups": str(tmp_path)}
    before = catalogue.count()
    photos = [pictures.jpeg(seed) for seed in range(90_000, 90_005)]
    assert catalogue.upload(*photos).status_code == 202
    catalogue.wait_for(before + len(photos))
    kept = catalogue.photos()
    jobs = catalogue.get("/v1/jobs").json()
    tmp_path.chmod(0o755)
    plain.follow(
        "install -d -o 10001 /srv/backups               # once, as root: 10001 is the "
        "user in the container",
        replaced=folder,
    )
    plain.compose("down", "--volumes")
    plain.follow("docker compose up -d --wait worker embedder", replaced=folder)
    catalogue.wait_until_searched()
    assert catalogue.photos() == kept
    assert catalogue.get("/v1/jobs").json() == jobs
    found = catalogue.search_by_photo(photos[0]).json()["items"]
    assert found[0]["score"] > 0.99
