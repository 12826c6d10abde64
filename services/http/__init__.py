"""What the HTTP services share: request ids, limits, draining, metrics and errors."""
