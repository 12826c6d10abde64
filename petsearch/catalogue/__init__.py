"""What is done to images that are indexed: they are listed, amended and deleted, and groups of
duplicates are found.
"""

from petsearch.catalogue.delete import delete_images
from petsearch.catalogue.duplicates import Group, GroupPage, Tier
from petsearch.catalogue.images import AttributeFacet, FacetField, ImageFile, Images

__all__ = [
    "AttributeFacet",
    "FacetField",
    "Group",
    "GroupPage",
    "ImageFile",
    "Images",
    "Tier",
    "delete_images",
]
