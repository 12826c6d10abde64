"""Search by words, by photo and by an indexed photo. It ranks pixels, nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from petsearch import images
from petsearch.catalogue import Catalogue, Target
from petsearch.errors import InvalidInput, NotFound, TooLarge, unknown_choice
from petsearch.images import ImageLimits
from petsearch.model import (
    Embedding,
    Filters,
    ImageRecord,
    SearchResult,
    normalise_name,
)
from petsearch.ports import Embedder, Index
from petsearch.zero_shot import embed_prompted

PromptMode = Literal["auto", "raw"]
_NO_TEMPLATE = ("{}",)


@dataclass(frozen=True)
class SearchOptions:
    """What every kind of search takes."""

    limit: int = 20
    filters: Filters = field(default_factory=Filters)
    min_score: float | None = None


class Searcher:
    """Answers searches over the current collection with its model."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        index: Index,
        catalogue: Catalogue,
        image_limits: ImageLimits,
        max_query_characters: int,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._catalogue = catalogue
        self._image_limits = image_limits
        self._max_query_characters = max_query_characters

    def by_text(
        self, query: str, options: SearchOptions, *, prompt: PromptMode = "auto"
    ) -> SearchResult:
        """Photos that show what `query` says.

        Args:
            prompt: `auto` puts the query into the model's templates, `raw` takes it as it is.

        Raises:
            InvalidInput: the query is empty, or a filter names a breed or species nobody knows.
            TooLarge: the query is too long.
        """
        text = self._checked_query(query)

        def embed(target: Target) -> Embedding:
            templates = target.model.prompt_templates if prompt == "auto" else _NO_TEMPLATE
            rows = embed_prompted(self._embedder, target.model, [text], templates)
            return cast(Embedding, rows[0])

        return self._search(embed, options)

    def by_photo(self, data: bytes, options: SearchOptions) -> SearchResult:
        """Photos that look like an encoded one.

        Raises:
            NotAnImage, TooLarge: the photo cannot be used.
        """
        picture = images.decode(data, self._image_limits, at_least=640).picture

        def embed(target: Target) -> Embedding:
            pixels = images.to_pixels(picture, target.model.pixel_spec)
            rows = self._embedder.embed_pixels(pixels[None], model_id=target.model.model_id)
            return cast(Embedding, rows[0])

        return self._search(embed, options)

    def similar(self, image_id: str, options: SearchOptions) -> SearchResult:
        """Photos that look like an indexed one, which is left out.

        Raises:
            NotFound: there is no such image.
        """
        filters = replace(options.filters, exclude_ids=(*options.filters.exclude_ids, image_id))

        def embedding_of(target: Target) -> Embedding:
            return self._index.get_embedding(target.collection, image_id)

        return self._search(embedding_of, replace(options, filters=filters))

    def get(self, image_id: str) -> ImageRecord:
        """One image.

        Raises:
            NotFound: there is no such image.
        """
        found = self._index.get(self._catalogue.current().collection, [image_id])
        if image_id not in found:
            raise NotFound(f"There is no image {image_id}.")
        return found[image_id]

    def newest(
        self, limit: int, filters: Filters, cursor: str | None
    ) -> tuple[list[ImageRecord], str | None]:
        """Images without a query, newest first, and the cursor of the next page."""
        target = self._catalogue.current()
        filters = self._checked_filters(filters, target)
        return self._index.list_newest(
            target.collection, limit=limit, filters=filters, before=cursor
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
        collection = self._catalogue.current().collection
        return (
            self._index.count(collection, Filters()),
            self._index.facet(collection, "species", Filters()),
            self._index.facet(collection, "breed", Filters()),
        )

    def _search(self, embed: Callable[[Target], Embedding], options: SearchOptions) -> SearchResult:
        target = self._catalogue.current()
        filters = self._checked_filters(options.filters, target)
        hits = self._index.search(
            target.collection,
            embed(target),
            limit=options.limit,
            filters=filters,
            min_score=options.min_score,
        )
        return SearchResult(tuple(hits), target.model.model_id)

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

    def _checked_filters(self, filters: Filters, target: Target) -> Filters:
        return replace(
            filters,
            species=self._known_name("species", filters.species, target),
            breed=self._known_name("breed", filters.breed, target),
        )

    def _known_name(
        self, field: Literal["species", "breed"], name: str | None, target: Target
    ) -> str | None:
        """The name as it is stored. A name that neither the model nor any photo has is an error."""
        if name is None:
            return None
        wanted = normalise_name(name)
        by_model = {getattr(label, field) for label in target.model.labels}
        if wanted in by_model:
            return wanted
        in_use = self._index.facet(target.collection, field, Filters())
        if wanted in in_use:
            return wanted
        raise unknown_choice(field, name, {*by_model, *in_use})
