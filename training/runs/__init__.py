"""What every training run keeps: precision, learning rate, checkpoints, log, curves and commit."""
