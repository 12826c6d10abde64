"""Object stores: a folder, and any S3 server. `minio` and `s3_reader` need the extra `storage`, so
they are imported by their full names.
"""

from petsearch.adapters.objects.folder import FilesystemStore

__all__ = ["FilesystemStore"]
