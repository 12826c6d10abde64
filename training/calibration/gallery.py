"""Galleries of labelled photos that no training used, embedded here."""

from collections.abc import Mapping

import numpy as np

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.calibration import Gallery
from petsearch.domain.errors import InvalidInput
from training.evaluation.embedding import EmbeddedPhotos, embed_photos
from training.evaluation.photos import LabelledPhotos

SEED = 3
"""Seed of drawings to calibrate on: not the demo's, nor one of training or evaluation."""


def gallery_of(embedded: EmbeddedPhotos, species_of: Mapping[str, str]) -> Gallery:
    """A gallery of embedded photos; `species_of` has the species of every class."""
    names, labels = embedded.photos.class_names, embedded.photos.labels
    species = np.array([species_of[name] for name in names])
    return Gallery(embedded.embeddings, np.array(names)[labels], species[labels])


def labelled_gallery(model: OpenClipModel, photos: LabelledPhotos) -> Gallery:
    """A gallery of the photos whose class the model has a label for.

    Raises:
        InvalidInput: there are none, or none can be decoded.
    """
    species_of = {label.breed: label.species for label in model.info.labels}
    known = [name for name in photos.class_names if name in species_of]
    if not known:
        raise InvalidInput("No photo is labelled with a breed that the model can name.")
    return gallery_of(embed_photos(model, photos.only(known)), species_of)
