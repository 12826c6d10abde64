"""From encoded photos to pixels: decoding within limits, in processes of its own, display copies,
the pixels that a model reads, and perceptual hashes.
"""

from petsearch.photos.decode_memory import Budget
from petsearch.photos.decoders import Decoders
from petsearch.photos.opening import Encoded, ImageLimits
from petsearch.photos.preprocessing import to_pixels
from petsearch.photos.stored import StoredPixels

__all__ = [
    "Budget",
    "Decoders",
    "Encoded",
    "ImageLimits",
    "StoredPixels",
    "to_pixels",
]
