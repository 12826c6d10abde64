"""Which collection and which model are current: the alias is the only truth about that."""

from dataclasses import dataclass

from petsearch.errors import Conflict, Unavailable
from petsearch.model import ModelInfo
from petsearch.ports import Embedder, Index

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

    def __init__(self, index: Index, embedder: Embedder) -> None:
        self._index = index
        self._embedder = embedder

    def initialise(self) -> Target:
        """Create the first collection for the embedder's default model, if there is none yet.

        Raises:
            Conflict: see `current`.
        """
        if self._index.current() is None:
            model = self._embedder.models()[0]
            self._index.create_collection(collection_of(model.model_id), model.dim)
            self._index.point_alias_to(collection_of(model.model_id))
        target = self.current()
        # Again, because a collection of an older version may lack a payload index.
        self._index.create_collection(target.collection, target.model.dim)
        return target

    def collection(self) -> str:
        """The collection that is searched and written now. Asks the index only.

        Raises:
            Unavailable: nothing was initialised yet.
        """
        collection = self._index.current()
        if collection is None:
            raise Unavailable("The index has no collection yet; it is made when the worker starts.")
        return collection

    def current(self) -> Target:
        """The collection that is searched and written now, with its model.

        Raises:
            Unavailable: nothing was initialised yet.
            Conflict: the embedder does not have the model the collection was made with.
        """
        collection = self.collection()
        return Target(collection, self.model(model_id_of(collection)))

    def model(self, model_id: str) -> ModelInfo:
        """A model of the embedder. Asks the embedder only.

        Raises:
            Conflict: the embedder does not have it.
        """
        loaded = self._embedder.models()
        for model in loaded:
            if model.model_id == model_id:
                return model
        names = ", ".join(model.model_id for model in loaded)
        raise Conflict(
            f"The photos are indexed with the model {model_id!r}, which is not loaded (loaded: "
            f"{names}). Serve that model again, or start with a new data folder and ingest again."
        )
