"""Encoded photos to pixels: decoding within limits, copies for display, the pixels a model sees,
perceptual hashes.
"""

from petsearch.photos.decode import Encoded, ImageLimits
from petsearch.photos.decode_memory import Budget
from petsearch.photos.preprocessing import Resize, resize_with_pillow, to_pixels
from petsearch.photos.stored import StoredPixels

__all__ = [
    "Budget",
    "Encoded",
    "ImageLimits",
    "Resize",
    "StoredPixels",
    "resize_with_pillow",
    "to_pixels",
]
