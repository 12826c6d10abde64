"""A model is trained, measured, published and promoted, in containers alone."""

from tests import pictures
from tests.compose.projects import Project, objects, on_engine, project, run

pytestmark = on_engine


def test_a_model_goes_from_training_to_searches() -> None:
    with project("train") as trained:
        trained.compose("build", "trainer")
        trained.start()
        assert trained.catalogue.upload(pictures.jpeg(1)).status_code == 202
        trained.catalogue.wait_for(1)

        def petsearch(*words: str) -> list[dict[str, object]]:
            return trained.job("trainer", "petsearch", *words)

        petsearch("finetune", "--config", "/configs/smoke.toml", "--out", "drawn")
        petsearch("evaluate", "--model", "drawn", "--data", "drawings")
        model_id = str(petsearch("publish", "drawn", "--json")[-1]["model_id"])
        petsearch("reindex", "--model", model_id)
        petsearch("promote", model_id, "--accept-worse")
        found = trained.catalogue.get("/v1/search", q="a grey cat").json()
        assert found["model_id"] == model_id
        check_errors(trained)


def check_errors(trained: Project) -> None:
    """What goes wrong is a JSON object, too."""
    image = f"petsearch-trainer:{trained.env.get('PETSEARCH_TAG', 'local')}"
    for words in ("finetune --config /none.toml --out x", "publish /none", "models"):
        command = f"docker run --rm -e PETSEARCH_LOG_JSON=1 {image} petsearch {words} 2>&1 || true"
        (said,) = objects(run(["sh", "-c", command], env={}))
        assert said["event"] == "error"
