"""What every HTTP service of ours does alike: request ids, limits, errors."""
