"""Search by words, by photo, by an indexed photo, and by all of them at once. It ranks pixels."""

from dataclasses import replace
from typing import Literal

from petsearch.domain import (
    Filters,
    Hit,
    ImageRecord,
    SearchResult,
    SortBy,
    normalise_name,
)
from petsearch.domain.errors import Conflict, InvalidInput, NotFound, TooLarge, unknown_choice
from petsearch.models import Catalogue, Target
from petsearch.photos import ImageLimits
from petsearch.ports import Embedder, IndexReader
from petsearch.search import pages
from petsearch.search.confidence import ScoreWorth
from petsearch.search.query import (
    ImagePart,
    PhotoPart,
    PromptMode,
    Query,
    SearchOptions,
    TextPart,
    Weighted,
    digest_of,
)
from petsearch.search.query_embedding import QueryEmbedder
from petsearch.search.spelling import searched_for, spelled

FacetField = Literal["breed", "species", "status", "tag"]


class Searcher:
    """Answers searches over the current collection with its model."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        index: IndexReader,
        catalogue: Catalogue,
        image_limits: ImageLimits,
        max_query_characters: int,
    ) -> None:
        self._query_embedder = QueryEmbedder(
            embedder=embedder, index=index, image_limits=image_limits
        )
        self._index = index
        self._catalogue = catalogue
        self._max_query_characters = max_query_characters

    def by_text(
        self, query: str, options: SearchOptions, *, prompt: PromptMode = "auto"
    ) -> SearchResult:
        """Photos that show what `query` says; see `search`."""
        return self.search(Query((Weighted(TextPart(query)),), prompt=prompt), options)

    def by_photo(self, data: bytes, options: SearchOptions) -> SearchResult:
        """Photos that look like an encoded one; see `search`."""
        return self.search(Query((Weighted(PhotoPart(data)),)), options)

    def similar(self, image_id: str, options: SearchOptions) -> SearchResult:
        """Photos that look like an indexed one, which is left out; see `search`."""
        return self.search(Query((Weighted(ImagePart(image_id)),)), options)

    def search(self, query: Query, options: SearchOptions) -> SearchResult:
        """Photos that look like what is asked for, best first.

        Raises:
            InvalidInput: a text is empty, a filter names a breed or species nobody knows, the
                cursor is of another search, or `min_confidence` is asked where none is known.
            TooLarge: a text or photo is too large.
            NotAnImage: a photo cannot be used.
            NotFound: there is no such image.
            Conflict: the cursor is of another model.
        """
        target = self._catalogue.current()
        try:
            return self._search(query, options, target)
        except (NotFound, Conflict):
            # The collection or its model may be gone since it was resolved: once more, then.
            again = self._catalogue.current()
            if again.collection == target.collection:
                raise
            return self._search(query, options, again)

    def _search(self, query: Query, options: SearchOptions, target: Target) -> SearchResult:
        asked = self._with_checked_texts(query)
        walk = pages.resume(options.cursor, target.model.model_id, digest_of(asked, options))
        searched = spelled(asked, target.model.labels)
        embedding = self._query_embedder.embed(searched, target)
        worth = ScoreWorth.of(searched, target.model, embedding)
        filters = self._checked_filters(options.filters, target)
        filters = replace(filters, exclude_ids=(*filters.exclude_ids, *searched.image_ids))
        min_score = worth.lowest_score(options)
        best: list[Hit] = []

        def rank(count: int) -> list[Hit]:
            hits = self._index.search(
                target.collection, embedding, limit=count, filters=filters, min_score=min_score
            )
            best[:] = hits[:1]
            return hits

        hits, next_cursor = pages.next_page(
            rank, walk, limit=options.limit, by_animal=options.group_by == "animal"
        )
        return SearchResult(
            hits=tuple(worth.judged(hit) for hit in hits),
            model_id=target.model.model_id,
            no_good_match=not best or worth.is_off_topic(best[0].score),
            searched_for=searched_for(asked, searched),
            next_cursor=next_cursor,
        )

    def target(self) -> Target:
        """What is searched; its model is also known for a while after the embedder went away."""
        return self._catalogue.current()

    def get(self, image_id: str) -> ImageRecord:
        """One image.

        Raises:
            NotFound: there is no such image.
        """
        found = self._index.get(self._catalogue.collection(), [image_id])
        if image_id not in found:
            raise NotFound(f"There is no image {image_id}.")
        return found[image_id]

    def newest(
        self, limit: int, filters: Filters, cursor: str | None, sort: SortBy = "created_at"
    ) -> tuple[list[ImageRecord], str | None]:
        """Images without a query, newest first, and the cursor of the next page."""
        collection = self._catalogue.collection()
        filters = self._checked_filters(filters)
        return self._index.list_newest(
            collection, limit=limit, filters=filters, before=cursor, sort=sort
        )

    def find_file(self, filename: str) -> ImageRecord:
        """The newest image of a file name.

        Raises:
            NotFound: there is none.
        """
        found, _ = self.newest(1, Filters(filename=filename), None)
        if not found:
            raise NotFound(f"There is no image named {filename!r}.")
        return found[0]

    def counts(self) -> tuple[int, dict[str, int], dict[str, int]]:
        """Images in all, by species and by breed."""
        collection = self._catalogue.collection()
        return (
            self._index.count(collection, Filters()),
            self._index.facet(collection, "species", Filters()),
            self._index.facet(collection, "breed", Filters()),
        )

    def facets(self, by: FacetField, filters: Filters) -> dict[str, int]:
        """Images per value under `filters`, the most frequent first."""
        field = "tags" if by == "tag" else by
        filters = self._checked_filters(filters)
        return self._index.facet(self._catalogue.collection(), field, filters)

    def _with_checked_texts(self, query: Query) -> Query:
        def checked(entry: Weighted) -> Weighted:
            if isinstance(entry.part, TextPart):
                return replace(entry, part=TextPart(self._checked_query(entry.part.text)))
            return entry

        return query.with_parts(checked)

    def _checked_query(self, query: str) -> str:
        text = " ".join(query.split())
        if not text:
            raise InvalidInput("The query is empty; say what to look for, such as q=grey cat.")
        if len(text) > self._max_query_characters:
            raise TooLarge(
                f"The query has {len(text)} characters; at most {self._max_query_characters} "
                "are accepted (the model reads no more than some 70 words)."
            )
        return text

    def _checked_filters(self, filters: Filters, target: Target | None = None) -> Filters:
        """`target` is looked up where a name needs it: a list needs no embedder."""
        if target is None and (filters.species or filters.breed):
            target = self._catalogue.current()
        return replace(
            filters,
            status=normalise_name(filters.status) if filters.status else None,
            species=self._known_name("species", filters.species, target),
            breed=self._known_name("breed", filters.breed, target),
        )

    def _known_name(
        self, field: Literal["species", "breed"], name: str | None, target: Target | None
    ) -> str | None:
        """The name as it is stored. A name that neither the model nor any photo has is an error."""
        if name is None or target is None:
            return None
        wanted = normalise_name(name)
        by_model = {getattr(label, field) for label in target.model.labels}
        if wanted in by_model:
            return wanted
        in_use = self._index.facet(target.collection, field, Filters())
        if wanted in in_use:
            return wanted
        raise unknown_choice(field, name, {*by_model, *in_use})
