"""Training on the bundled drawings from scratch: the configuration and the data, the training of
the sample model, and its evaluation on held-out drawings.
"""

from training.drawings.config import SAMPLE_CONFIG, DrawingsConfig, read_config
from training.drawings.drawn_photos import drawn_photos
from training.drawings.training import train_from_scratch

__all__ = [
    "SAMPLE_CONFIG",
    "DrawingsConfig",
    "drawn_photos",
    "read_config",
    "train_from_scratch",
]
