"""The Python client of the REST API, and bulk uploads of local photos."""

from petsearch.client.api import Client
from petsearch.client.async_api import AsyncClient
from petsearch.client.local_photos import (
    PhotoSource,
    add_metadata,
    first_photos,
    from_dataset,
    from_drawings,
    from_paths,
)
from petsearch.client.photo import Photo
from petsearch.client.photo_table import join_table
from petsearch.client.upload import Progress, upload

__all__ = [
    "AsyncClient",
    "Client",
    "Photo",
    "PhotoSource",
    "Progress",
    "add_metadata",
    "first_photos",
    "from_dataset",
    "from_drawings",
    "from_paths",
    "join_table",
    "upload",
]
