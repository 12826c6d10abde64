"""What every training run needs: its configuration file, precision, learning rate schedule,
checkpoints, log and curves, and the model folder that it writes.
"""

from training.runs.checkpoints import Checkpoint
from training.runs.commits import current_commit
from training.runs.model_folder import write_json
from training.runs.precision import Precision, choose_precision

__all__ = [
    "Checkpoint",
    "Precision",
    "choose_precision",
    "current_commit",
    "write_json",
]
