"""Which collection and which model are current: the alias is the only truth about that."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from petsearch.domain import ModelInfo
from petsearch.domain.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    Unavailable,
)
from petsearch.ports import Collections, Embedder

_COLLECTION_PREFIX = "pets-"


@dataclass(frozen=True)
class Target:
    """A collection and the model whose embeddings it holds."""

    collection: str
    model: ModelInfo


def collection_of(model_id: str) -> str:
    """The name of the collection that holds a model's embeddings."""
    return f"{_COLLECTION_PREFIX}{model_id}"


def model_id_of(collection: str) -> str:
    """The model whose embeddings a collection holds."""
    return collection.removeprefix(_COLLECTION_PREFIX)


class Catalogue:
    """Resolves the alias, once per request."""

    def __init__(
        self,
        index: Collections,
        embedder: Embedder,
        *,
        spec_of: Callable[[str], str] | None = None,
        remember: Callable[[ModelInfo], None] = lambda _: None,
    ) -> None:
        self._index = index
        self._embedder = embedder
        self._spec_of = spec_of
        self._remember = remember
        self._loading = threading.Lock()

    def initialise(self) -> Target:
        """Create the first collection for the embedder's default model, if there is none yet.

        Raises:
            Conflict: see `current`.
        """
        target = self.current()
        self._remember(target.model)
        # Again, because a collection of an older version may lack a payload index.
        self._index.create_collection(target.collection, target.model.dim)
        return target

    def collection(self) -> str:
        """The collection that is searched and written now. Asks the index only.

        Raises:
            Unavailable: there is none yet.
        """
        if (collection := self.any_collection()) is None:
            raise Unavailable("There are no photos yet: the embedder has not loaded its model.")
        return collection

    def any_collection(self) -> str | None:
        """As `collection`; None until the embedder has loaded its first model."""
        return self._index.current()

    def current(self) -> Target:
        """The collection that is searched and written now, with its model.

        Whoever asks first when the embedder has loaded a model creates the collection for it.

        Raises:
            Unavailable: the embedder does not answer, or has loaded no model yet; it says why.
            Conflict: the embedder does not have the model the collection was made with.
        """
        collection = self.any_collection() or self._create_first()
        return Target(collection, self.model(model_id_of(collection)))

    def recent(self) -> Target:
        """As `current`, or as it was within the last second; its collection may be gone."""
        collection = self._index.recent()
        if collection is not None:
            with suppress(Conflict):  # its model was unloaded
                return Target(collection, self.model(model_id_of(collection)))
        return self.current()

    def _create_first(self) -> str:
        model = self._embedder.models()[0]
        collection = collection_of(model.model_id)
        self._index.create_collection(collection, model.dim)
        self._remember(model)
        self._index.point_alias_to(collection)
        return collection

    def model(self, model_id: str) -> ModelInfo:
        """A model, which the embedder loads if it can and has not.

        Raises:
            Conflict: the embedder neither has it nor can load it.
            Unavailable: the embedder does not answer, or another call has it loaded just now.
        """
        found = self._loaded(model_id)
        if found is None and self._spec_of is not None:
            found = self._load_once(model_id, self._spec_of)
        if found is None:
            raise Conflict(self._missing(model_id))
        return found

    def _load_once(self, model_id: str, spec_of: Callable[[str], str]) -> ModelInfo | None:
        """One call waits for the model. All others would hold every thread of the API meanwhile."""
        if not self._loading.acquire(blocking=False):
            raise Unavailable(f"The model {model_id!r} is being loaded.")
        try:
            return self._loaded(model_id) or self._load(model_id, spec_of)
        finally:
            self._loading.release()

    def _loaded(self, model_id: str) -> ModelInfo | None:
        models = self._embedder.models()
        return next((model for model in models if model.model_id == model_id), None)

    def _load(self, model_id: str, spec_of: Callable[[str], str]) -> ModelInfo | None:
        try:
            model = self._embedder.load(spec_of(model_id))
        except (NotFound, Conflict, ConfigurationError, InvalidInput) as error:
            raise Conflict(f"{self._missing(model_id)} {error.detail}") from error
        return model if model.model_id == model_id else None

    def _missing(self, model_id: str) -> str:
        names = ", ".join(model.model_id for model in self._embedder.models())
        return (
            f"The model {model_id!r}, with which photos are indexed, is not loaded (loaded: "
            f"{names}). Publish it with petsearch publish, or serve it again."
        )
