"""How a query is answered: its parts are embedded and combined, hits are ranked, judged and
returned page by page.
"""

from petsearch.search.filter_names import FilterNames
from petsearch.search.query import (
    GroupBy,
    ImagePart,
    PhotoPart,
    PromptMode,
    Query,
    SearchOptions,
    SharedPhoto,
    SortHits,
    SpellingMode,
    TextPart,
    Weighted,
)
from petsearch.search.searcher import Searcher
from petsearch.search.shared import NewShare, SharedSearches

__all__ = [
    "FilterNames",
    "GroupBy",
    "ImagePart",
    "NewShare",
    "PhotoPart",
    "PromptMode",
    "Query",
    "SearchOptions",
    "Searcher",
    "SharedPhoto",
    "SharedSearches",
    "SortHits",
    "SpellingMode",
    "TextPart",
    "Weighted",
]
