"""From encoded photos to pixels: decoding within limits, display copies, the pixels that a model
reads, and perceptual hashes.
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
