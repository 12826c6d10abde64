"""Training and evaluation of the CLIP behind petsearch."""
