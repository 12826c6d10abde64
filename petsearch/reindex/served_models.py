"""Says in the object store which models embedders load; each of them follows by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from petsearch.embedding.embedder import MAX_MODELS
from petsearch.models import (
    Registry,
    ServedModel,
    Serving,
    model_id_of,
    read_serving,
    write_serving,
)
from petsearch.ports import Embedder


@dataclass(frozen=True)
class ServedModels:
    """Writes `petsearch.models.Serving`."""

    registry: Registry
    embedder: Embedder

    def need(self, collections: Iterable[str], *, may_drop: bool = True) -> None:
        """Have embedders load the models of these collections, that of the first first.

        Args:
            may_drop: False keeps others that are loaded, as far as there is room.

        Raises:
            NotFound: a model can be had from nowhere.
            Unavailable: the object store does not answer, or no embedder says its precision.
        """
        before = read_serving(self.registry.store) or Serving(models=())
        known = {one.model_id: one for one in before.models}
        model_ids = list(dict.fromkeys(map(model_id_of, collections)))
        if not may_drop:
            model_ids = list(dict.fromkeys([*model_ids, *known]))[:MAX_MODELS]
        models = tuple(
            known.get(one) or ServedModel(model_id=one, spec=self.registry.spec_of(one))
            for one in model_ids
        )
        if any(one.precision is None for one in models):
            models = self._with_precisions(models)
        if models != before.models:
            write_serving(self.registry.store, Serving(models=models))

    def _with_precisions(self, models: Sequence[ServedModel]) -> tuple[ServedModel, ...]:
        """Each with the precision in which it is served, or in which the first one is."""
        served = {model.model_id: model.precision for model in self.embedder.models()}
        first = models[0].precision or served.get(models[0].model_id)
        return tuple(
            one.model_copy(update={"precision": one.precision or served.get(one.model_id) or first})
            for one in models
        )
