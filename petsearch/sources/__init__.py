"""Where photos of a job come from when the server reads them itself: archives, manifests, URL
lists, S3 prefixes, data sets and the folders that may be imported.
"""

from petsearch.sources.dataset_rows import DatasetOptions
from petsearch.sources.source import Fetcher, Source, SourceItem
from petsearch.sources.spec import SourceContext, SourceSpec, make_fetcher, open_source, parse_spec

__all__ = [
    "DatasetOptions",
    "Fetcher",
    "Source",
    "SourceContext",
    "SourceItem",
    "SourceSpec",
    "make_fetcher",
    "open_source",
    "parse_spec",
]
