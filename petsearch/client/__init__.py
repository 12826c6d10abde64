"""The Python client of the REST API, and bulk uploads of local photos."""

from petsearch.client.api import Client, Photo
from petsearch.client.local_photos import (
    PhotoSource,
    from_dataset,
    from_drawings,
    from_paths,
    stating,
)
from petsearch.client.photo_table import joined
from petsearch.client.upload import Progress, upload

__all__ = [
    "Client",
    "Photo",
    "PhotoSource",
    "Progress",
    "from_dataset",
    "from_drawings",
    "from_paths",
    "joined",
    "stating",
    "upload",
]
