"""Work on the catalogue as a whole: reconcile finds and repairs what a crash left between stores;
backup and restore copy everything out and in.
"""

from petsearch.maintenance.backup import Backup, Kept
from petsearch.maintenance.backup_format import Manifest, Place
from petsearch.maintenance.reconcile import Damage, Finding, Reconciler, Report
from petsearch.maintenance.restore import Restore, Restored

__all__ = [
    "Backup",
    "Damage",
    "Finding",
    "Kept",
    "Manifest",
    "Place",
    "Reconciler",
    "Report",
    "Restore",
    "Restored",
]
