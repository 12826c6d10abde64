"""Learning rate schedule: linear warm-up, then cosine decay to zero at the last step."""

import math


def share_of_rate(step: int, steps: int, warmup_steps: int) -> float:
    """Share (0..1) of the full learning rate at a step, counted from 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * done))
