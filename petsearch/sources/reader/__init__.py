"""Reads sources in child processes, so that a bad file costs its job and nothing else."""

from petsearch.sources.reader.confined_source import ConfinedSource
from petsearch.sources.reader.process import READER_BYTES, Readers

__all__ = ["READER_BYTES", "ConfinedSource", "Readers"]
