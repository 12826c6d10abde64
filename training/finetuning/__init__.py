"""Fine-tuning a CLIP on labelled photos: which stages are trained, views of photos and the cache of
the frozen stages, training with validation, and the result with its model card.
"""

from training.finetuning.config import FinetuningConfig, read_any_config
from training.finetuning.result import FinetuningResult
from training.finetuning.run import finetune, override
from training.finetuning.setup import Progress

__all__ = [
    "FinetuningConfig",
    "FinetuningResult",
    "Progress",
    "finetune",
    "override",
    "read_any_config",
]
