"""Which CLIP model is current, which ones are published, and their model cards."""

from petsearch.models.current import Catalogue, Target, collection_of, model_id_of
from petsearch.models.registry import Published, Registry

__all__ = ["Catalogue", "Published", "Registry", "Target", "collection_of", "model_id_of"]
