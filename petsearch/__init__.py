"""petsearch: find pet photos by words or by photo."""

__version__ = "0.1.0"
