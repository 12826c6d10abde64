"""What scores are worth: fits calibration.json for a model on photos that no training saw."""
