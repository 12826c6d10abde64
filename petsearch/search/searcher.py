"""Search by words, by photo, by an indexed photo, and by all of them at once. It ranks pixels."""

import time
from dataclasses import replace
from datetime import UTC, tzinfo
from functools import partial

from petsearch.domain import SearchResult, SureFrom
from petsearch.domain.errors import Conflict, InvalidInput, NotFound, TooLarge
from petsearch.domain.visible_text import visible_text
from petsearch.models import Catalogue, Target
from petsearch.photos import Decoders
from petsearch.ports import Embedder, IndexReader
from petsearch.search import pages
from petsearch.search.confidence import ScoreWorth
from petsearch.search.filter_names import FilterNames
from petsearch.search.language import is_beyond
from petsearch.search.order import in_order
from petsearch.search.query import ImagePart, Query, SearchOptions, TextPart, Weighted, digest_of
from petsearch.search.query_embedding import QueryEmbedder
from petsearch.search.spelling import searched_for, spelled


class Searcher:
    """Answers searches over the current collection with its model."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        index: IndexReader,
        catalogue: Catalogue,
        decoders: Decoders,
        max_query_characters: int,
        sure_from: SureFrom,
        zone: tzinfo = UTC,
    ) -> None:
        self._query_embedder = QueryEmbedder(embedder, index, decoders)
        self._index = index
        self._catalogue = catalogue
        self._filter_names = FilterNames(index, catalogue, sure_from, zone)
        self._max_query_characters = max_query_characters

    def by_text(self, text: str, options: SearchOptions) -> SearchResult:
        """Photos that show what `text` says; see `by_query`."""
        return self.by_query(Query((Weighted(TextPart(text)),)), options)

    def by_image(self, image_id: str, options: SearchOptions) -> SearchResult:
        """Photos that look like an indexed one, which is left out; see `by_query`."""
        return self.by_query(Query((Weighted(ImagePart(image_id)),)), options)

    def by_query(self, query: Query, options: SearchOptions) -> SearchResult:
        """Photos that look like what is asked for, best first.

        Raises:
            InvalidInput: a text is empty, the cursor is of another search, or `min_confidence` is
                given for an uncalibrated query.
            TooLarge: a text or photo is too large.
            NotAnImage: a photo cannot be used.
            NotFound: there is no such image.
            Conflict: the cursor is of another model.
        """
        started = time.perf_counter()
        target = self._catalogue.recent()
        try:
            result = self._search(query, options, target)
        except (NotFound, Conflict):
            # The collection or its model may be gone since it was resolved: once more, then.
            again = self._catalogue.current()
            if again.collection == target.collection:
                raise
            result = self._search(query, options, again)
        return replace(result, took_ms=(time.perf_counter() - started) * 1000)

    def _search(self, query: Query, options: SearchOptions, target: Target) -> SearchResult:
        asked = query.with_texts(self._checked_text)
        walk = pages.resume(options.cursor, target.model.model_id, digest_of(asked, options))
        searched = spelled(asked, target.model.labels)
        embedding = self._query_embedder.embed(searched, target)
        worth = ScoreWorth.of(searched, target.model, embedding)
        filters = self._filter_names.normalised(options.filters, target)
        filters = replace(filters, exclude_ids=(*filters.exclude_ids, *searched.image_ids))
        rank = partial(
            self._index.search,
            target.collection,
            embedding,
            filters=filters,
            min_score=worth.lowest_score(options),
        )
        ordered = in_order(rank, options)
        page = pages.next_page(ordered, walk, options.limit, by_animal=options.group_by == "animal")
        return SearchResult(
            hits=tuple(worth.judged(hit) for hit in page.hits),
            model_id=target.model.model_id,
            no_good_match=page.best is None or worth.is_off_topic(page.best.score),
            searched_for=searched_for(asked, searched),
            next_cursor=page.next_cursor,
            is_beyond_language=is_beyond(searched, target.model),
            predictions_calibrated=(
                target.model.guesses is not None if filters.asks_for_guesses else None
            ),
            unknown=filters.unknown,
            tokens_read=self._query_embedder.tokens_read(searched, target),
        )

    def target(self) -> Target:
        """What is searched; its model is also known for a while after the embedder went away."""
        return self._catalogue.current()

    def any_target(self) -> Target | None:
        """As `target`; None until the embedder has loaded its first model."""
        return self.target() if self._catalogue.any_collection() else None

    def _checked_text(self, query: str) -> str:
        text = visible_text(query)
        if not text:
            raise InvalidInput("The query is empty; say what to look for, such as q=grey cat.")
        if len(text) > self._max_query_characters:
            raise TooLarge(
                f"The query has {len(text)} characters; at most {self._max_query_characters} "
                "are accepted (the model reads no more than some 70 words)."
            )
        return text
