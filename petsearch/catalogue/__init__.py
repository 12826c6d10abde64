"""What is done to images that are indexed: edits of their metadata, deletes, and groups of
duplicates.
"""

from petsearch.catalogue.delete import delete_images, delete_images_of_animal
from petsearch.catalogue.duplicates import Duplicates, Group, GroupPage, Tier
from petsearch.catalogue.edit import amend, save_amended

__all__ = [
    "Duplicates",
    "Group",
    "GroupPage",
    "Tier",
    "amend",
    "delete_images",
    "delete_images_of_animal",
    "save_amended",
]
