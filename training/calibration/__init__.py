"""Calibration of a model's scores: galleries of labelled photos, and the curves that turn a score
into a confidence. `training.calibration.calibrate` fits them; it is also a command.
"""

from training.calibration.gallery import Gallery, gallery_of, labelled_gallery

__all__ = ["Gallery", "gallery_of", "labelled_gallery"]
