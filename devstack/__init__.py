"""The distributed shape as processes of this machine, for development and tests. Not installed."""
