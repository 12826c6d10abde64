"""Reads photos from where the server finds them by itself: archives, manifests, URL lists, S3
prefixes, data sets and allowed folders.
"""

from petsearch.sources.opening import SourceContext, open_source
from petsearch.sources.reader import Readers
from petsearch.sources.source import Fetcher, Source, SourceItem
from petsearch.sources.spec import DatasetOptions, SourceSpec, parse_spec

__all__ = [
    "DatasetOptions",
    "Fetcher",
    "Readers",
    "Source",
    "SourceContext",
    "SourceItem",
    "SourceSpec",
    "open_source",
    "parse_spec",
]
