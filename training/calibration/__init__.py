"""Calibration of a model before it is published, on labelled photos that no training used, by
`petsearch.calibration`. `training.calibration.calibrate` is also a command.
"""

from training.calibration.gallery import gallery_of, labelled_gallery

__all__ = ["gallery_of", "labelled_gallery"]
