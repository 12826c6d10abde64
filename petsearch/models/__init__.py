"""Which CLIP model is current, which ones are published and loaded, and their model cards."""

from petsearch.models.catalogue_calibrations import CatalogueCalibrations, has_its_own
from petsearch.models.current import Catalogue, Target, collection_of, model_id_of
from petsearch.models.descriptions import Descriptions
from petsearch.models.registry import Manifest, Published, Registry
from petsearch.models.serving import ServedModel, Serving, read_serving, write_serving

__all__ = [
    "Catalogue",
    "CatalogueCalibrations",
    "Descriptions",
    "Manifest",
    "Published",
    "Registry",
    "ServedModel",
    "Serving",
    "Target",
    "collection_of",
    "has_its_own",
    "model_id_of",
    "read_serving",
    "write_serving",
]
