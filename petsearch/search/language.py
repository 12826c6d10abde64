"""Whether a text seems to be in another language than English, for a hint beside the results."""

from petsearch.domain import ModelInfo
from petsearch.search.query import Query, TextPart

_FOREIGN = """
hund hunde hündin katze katzen kater welpe schwarz schwarze schwarzer weiss weisse weisser braun
braune brauner graue grauer kleine kleiner grosse grosser und auf der ein eine einer
chien chienne chiot chatte chaton noire blanc blanche gris grise roux avec une petit petite
perro perra gato gata gatito cachorro negro negra blanco blanca una pequeño gatto gatta gattino
cucciolo nero nera bianco bianca grigio preto preta branco branca com hond honden kat katten
poes zwart zwarte witte bruine een katt svart hvid hvit brun och og kot kotek czarny bialy
kedi kopek siyah beyaz koira kissa musta valkoinen pes kocka cerny kutya macska fekete
"""
_WORDS = frozenset(_FOREIGN.split())
"""Common words about pets in other languages of Europe that are no English words."""


def is_beyond(query: Query, model: ModelInfo) -> bool:
    """Whether a text of the query seems to be in a language that the model does not know."""
    if not model.is_english_only:
        return False
    names = {word for label in model.labels for word in label.breed.split()}
    parts = [entry.part for entry in (*query.positive, *query.negative)]
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    return any(_is_foreign(word, names) for text in texts for word in text.lower().split())


def _is_foreign(word: str, names: set[str]) -> bool:
    bare = "".join(letter for letter in word if letter.isalpha())
    return bare not in names and (bare in _WORDS or not bare.isascii())
