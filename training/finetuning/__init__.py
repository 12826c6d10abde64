"""Fine-tuning a CLIP on labelled photos: what is trained, the cached frozen stages, checkpoints,
and the model folder that comes out.
"""
