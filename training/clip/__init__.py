"""The CLIP in training: the base model, its image tower in stages, embeddings of class names in
prompts, losses, and the optimiser.
"""

from training.clip.base_model import BaseModel, load_base
from training.clip.class_texts import ClassTexts, TextEncoder
from training.clip.towers import Stage, stages_of

__all__ = ["BaseModel", "ClassTexts", "Stage", "TextEncoder", "load_base", "stages_of"]
