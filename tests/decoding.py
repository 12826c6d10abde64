"""The processes that decode photos for the tests of a process; starting one takes a while."""

import functools

from petsearch.photos import Decoders, ImageLimits


@functools.cache
def decoders() -> Decoders:
    """As services have them. They end with this process."""
    return Decoders(ImageLimits(), processes=2)
