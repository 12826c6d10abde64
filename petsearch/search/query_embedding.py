"""Turns the parts of a query into the one embedding that is searched with."""

from collections.abc import Sequence
from typing import cast

from petsearch.domain import Embedding
from petsearch.domain.prompts import with_singular_names
from petsearch.embedding import embed_prompted
from petsearch.models import Target
from petsearch.photos import Decoders
from petsearch.ports import Embedder, IndexReader
from petsearch.search.combination import WeightedEmbedding, combine
from petsearch.search.query import (
    ImagePart,
    PhotoPart,
    Query,
    QueryPart,
    SharedPhoto,
    TextPart,
    Weighted,
)

_NO_TEMPLATE = ("{}",)
_DECODED_SIDE = 640
_MARKS = 2
"""Tokens for the start and the end of a text."""


class QueryEmbedder:
    """Embeds with the model of the collection that is searched."""

    def __init__(self, embedder: Embedder, index: IndexReader, decoders: Decoders) -> None:
        self._embedder = embedder
        self._index = index
        self._decoders = decoders

    def embed(self, query: Query, target: Target) -> Embedding:
        """One embedding `(dim,)`.

        Raises:
            NotFound: an image that the query names does not exist.
            NotAnImage, TooLarge: its photo cannot be used.
            Overloaded: too many photos are being decoded.
            InvalidInput: its parts cancel each other out.
        """
        texts = self._texts(query, target)
        if query.only_part is not None:
            return self._embed_part(query.only_part, target, texts)
        return combine(
            self._rows(query.positive, target, texts), self._rows(query.negative, target, texts)
        )

    def tokens_read(self, query: Query, target: Target) -> int | None:
        """How many tokens the model reads of a text that is too long for it; None of no such text.

        Its prompt's beginning counts; the end of the template may be cut.
        """
        most = target.model.context_length
        beginnings = [
            template.partition("{}")[0] + text
            for text in _words(query)
            for template in _templates(query, target)
        ]
        # A token has a byte at least: only long texts have to be counted.
        long = [text for text in beginnings if len(text.encode()) > most - _MARKS]
        if not long:
            return None
        counts = self._embedder.count_tokens(long, model_id=target.model.model_id)
        return most if max(counts) > most else None

    def _rows(
        self, entries: Sequence[Weighted], target: Target, texts: dict[str, Embedding]
    ) -> list[WeightedEmbedding]:
        return [(self._embed_part(e.part, target, texts), e.weight) for e in entries]

    def _texts(self, query: Query, target: Target) -> dict[str, Embedding]:
        """All texts in one call."""
        words = _words(query)
        if not words:
            return {}
        templates = _templates(query, target)
        said = [_as_prompted(text, query, target) for text in words]
        rows = embed_prompted(self._embedder, target.model, said, templates)
        return dict(zip(words, rows, strict=True))

    def _embed_part(
        self, part: QueryPart, target: Target, texts: dict[str, Embedding]
    ) -> Embedding:
        if isinstance(part, TextPart):
            return texts[part.text]
        if isinstance(part, ImagePart):
            return self._index.get_embedding(target.collection, part.image_id)
        return self._embed_photo(part, target)

    def _embed_photo(self, part: PhotoPart, target: Target) -> Embedding:
        if isinstance(part, SharedPhoto) and part.model_id == target.model.model_id:
            return part.embedding
        spec = target.model.pixel_spec
        pixels = self._decoders.pixels(part.data, spec, at_least=_DECODED_SIDE)
        rows = self._embedder.embed_pixels(pixels[None], model_id=target.model.model_id)
        return cast(Embedding, rows[0])


def _words(query: Query) -> list[str]:
    """The texts of all parts, each once."""
    parts = [entry.part for entry in (*query.positive, *query.negative)]
    return list(dict.fromkeys(part.text for part in parts if isinstance(part, TextPart)))


def _as_prompted(text: str, query: Query, target: Target) -> str:
    return text if query.prompt == "raw" else with_singular_names(text, target.model.labels)


def _templates(query: Query, target: Target) -> Sequence[str]:
    return target.model.prompt_templates if query.prompt == "auto" else _NO_TEMPLATE
