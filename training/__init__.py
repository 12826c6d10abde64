"""Training, calibration and evaluation of the CLIP models behind petsearch."""
