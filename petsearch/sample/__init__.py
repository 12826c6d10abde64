"""Drawn pets: a deterministic catalogue of drawings with captions, and the bundled model, a tiny
CLIP that was trained on them.
"""

from petsearch.sample.catalogue import DEMO_SEED, MODEL_DIR, Drawing, catalogue, drawing_at

__all__ = ["DEMO_SEED", "MODEL_DIR", "Drawing", "catalogue", "drawing_at"]
