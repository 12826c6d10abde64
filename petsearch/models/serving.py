"""Which models all embedders load: a small document in the object store.

Whoever changes which models are needed writes it; every embedder reads it again and again, and
loads and unloads by itself. It says the precision of each model, so that all return the same.
"""

from pydantic import BaseModel, ConfigDict, ValidationError

from petsearch.domain import Precision, object_keys
from petsearch.domain.errors import ConfigurationError, NotFound
from petsearch.ports import ObjectStore


class ServedModel(BaseModel):
    """A model that embedders load."""

    model_config = ConfigDict(frozen=True)

    model_id: str
    spec: str
    """How to load it."""
    precision: Precision | None = None
    """The one that all use; None until the first one has chosen."""


class Serving(BaseModel):
    """The models that are needed."""

    model_config = ConfigDict(frozen=True)

    models: tuple[ServedModel, ...]
    """The one that is searched with first."""


def read_serving(store: ObjectStore) -> Serving | None:
    """The models that are needed; None before anybody has said so.

    Raises:
        ConfigurationError: what is stored is no such document.
        Unavailable: the store does not answer.
    """
    try:
        return Serving.model_validate_json(store.get(object_keys.SERVING))
    except NotFound:
        return None
    except ValidationError as error:
        raise ConfigurationError(
            f"{object_keys.SERVING} in the object store is no list of models; delete it, and "
            "workers write it again."
        ) from error


def write_serving(store: ObjectStore, serving: Serving) -> None:
    """Have embedders load these models."""
    store.put(object_keys.SERVING, serving.model_dump_json().encode())
