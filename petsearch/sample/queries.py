"""Twenty attribute queries over drawings, each with the facts of relevant drawings."""

from petsearch.sample.captions import Text


def _text(words: str, *facts: str) -> Text:
    return Text(words, frozenset(facts))


ATTRIBUTE_QUERIES: tuple[Text, ...] = (
    _text("grey tabby cat on grass", "kind:tabby", "coat:grey", "background:grass"),
    _text("ginger cat on a sofa", "kind:ginger cat", "background:sofa"),
    _text("black cat in snow", "coat:black", "species:cat", "background:snow"),
    _text("white persian cat on a rug", "kind:persian", "coat:white", "background:rug"),
    _text("siamese cat lying down", "kind:siamese", "pose:lying"),
    _text("calico cat in autumn leaves", "kind:calico", "background:leaves"),
    _text("tuxedo cat sitting", "kind:tuxedo cat", "pose:sitting"),
    _text("russian blue on the beach", "kind:russian blue", "background:beach"),
    _text("striped cat with a red collar", "look:striped", "species:cat", "accessory:red collar"),
    _text("fluffy kitten in the snow", "look:fluffy", "species:cat", "background:snow"),
    _text("spotty dog", "look:spotted", "species:dog"),
    _text("dalmatian with a ball", "kind:dalmatian", "accessory:ball"),
    _text("husky in the snow", "kind:husky", "background:snow"),
    _text("beagle puppy standing on grass", "kind:beagle", "pose:standing", "background:grass"),
    _text("corgi on the beach", "kind:corgi", "background:beach"),
    _text("bulldog on a sofa", "kind:bulldog", "background:sofa"),
    _text("golden retriever in autumn leaves", "kind:golden retriever", "background:leaves"),
    _text("brown poodle", "kind:poodle", "coat:brown"),
    _text("black dog with a blue bandana", "coat:black", "species:dog", "accessory:blue bandana"),
    _text("pug lying on a rug", "kind:pug", "pose:lying", "background:rug"),
)
