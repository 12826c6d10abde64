"""A file's bytes, in memory or mapped."""

import mmap

Buffer = bytes | mmap.mmap
"""The bytes of a file, or the file mapped into memory, which reads what is looked at."""
