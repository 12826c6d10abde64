"""The CLIP that is trained: loading it, its towers in stages, its texts, its losses and weights."""
