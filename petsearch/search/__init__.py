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
    SortHits,
    SpellingMode,
    TextPart,
    Weighted,
)
from petsearch.search.searcher import Searcher

__all__ = [
    "FilterNames",
    "GroupBy",
    "ImagePart",
    "PhotoPart",
    "PromptMode",
    "Query",
    "SearchOptions",
    "Searcher",
    "SortHits",
    "SpellingMode",
    "TextPart",
    "Weighted",
]
