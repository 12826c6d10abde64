"""Texts for a drawing: the facts that hold in it, and texts that users would type.

A text states some of a drawing's facts. These facts decide which other drawings it describes, so a
text always comes with its facts.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from petsearch.sample.drawing import Attributes

KIND_WORDS: dict[str, tuple[str, ...]] = {
    "tabby": ("tabby", "tabby cat", "tabby cat", "tabby kitten"),
    "ginger cat": ("ginger cat", "ginger tom", "ginger kitten", "ginger", "marmalade cat"),
    "siamese": ("siamese", "siamese cat", "siamese kitten"),
    "calico": ("calico", "calico cat", "calico cat", "calico kitten"),
    "black cat": ("black cat", "black cat", "black kitten"),
    "persian": ("persian", "persian cat", "persian kitten"),
    "tuxedo cat": ("tuxedo cat", "tuxedo", "tuxedo kitten", "black and white cat"),
    "russian blue": ("russian blue", "russian blue cat", "blue cat"),
    "dalmatian": ("dalmatian", "dalmatian dog", "dalmatian puppy"),
    "husky": ("husky", "siberian husky", "husky dog", "husky puppy"),
    "beagle": ("beagle", "beagle dog", "beagle puppy", "beagle hound"),
    "corgi": ("corgi", "corgi dog", "corgi puppy", "welsh corgi"),
    "bulldog": ("bulldog", "english bulldog", "bulldog puppy"),
    "golden retriever": ("golden retriever", "retriever", "golden retriever puppy"),
    "poodle": ("poodle", "poodle dog", "poodle puppy"),
    "labrador": ("labrador", "lab", "labrador retriever", "labrador puppy"),
    "pug": ("pug", "pug dog", "pug puppy"),
    "dachshund": ("dachshund", "sausage dog", "wiener dog", "dachshund puppy"),
    "german shepherd": ("german shepherd", "german shepherd dog", "alsatian", "shepherd dog"),
}
SPECIES_WORDS = {
    "cat": ("cat", "cat", "cat", "kitten", "kitty", "feline"),
    "dog": ("dog", "dog", "dog", "puppy", "doggy", "hound", "canine"),
}
COAT_WORDS: dict[str, tuple[str, ...]] = {
    "grey": ("grey", "gray", "silver"),
    "brown": ("brown", "tan"),
    "orange": ("orange", "ginger", "red haired"),
    "cream": ("cream", "beige", "fawn"),
    "white": ("white", "snow white"),
    "black": ("black", "dark"),
    "golden": ("golden", "blond", "yellow coated"),
}
LOOK_WORDS: dict[str, tuple[str, ...]] = {
    "striped": ("striped", "stripy"),
    "spotted": ("spotted", "spotty", "dotted"),
    "patched": ("patched", "patchy"),
    "fluffy": ("fluffy", "long haired", "furry"),
    "curly": ("curly", "curly haired"),
}
POSE_WORDS: dict[str, tuple[str, ...]] = {
    "sitting": ("sitting", "that sits", "seated"),
    "standing": ("standing", "that stands", "walking"),
    "lying": ("lying", "lying down", "resting", "sleeping"),
}
BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "grass": ("on grass", "on the grass", "on a lawn", "in a meadow", "in a green field"),
    "sofa": ("on a sofa", "on the sofa", "on a couch", "on the couch"),
    "snow": ("in snow", "in the snow", "in winter", "on a snowy day"),
    "beach": ("on a beach", "on the beach", "at the beach", "by the sea", "on sand"),
    "rug": ("on a rug", "on the rug", "on a carpet", "on a wooden floor"),
    "leaves": ("in autumn leaves", "in leaves", "in autumn", "in the fall", "in a forest"),
}
ACCESSORY_WORDS: dict[str, tuple[str, ...]] = {
    "collar": ("collar",),
    "bandana": ("bandana", "scarf", "neckerchief"),
    "bow tie": ("bow tie", "bow"),
    "ball": ("ball", "toy ball"),
}
FRAMES = (
    "{}",
    "{}",
    "{}",
    "a {}",
    "a {}",
    "a picture of a {}",
    "a drawing of a {}",
    "a photo of a {}",
    "cute {}",
    "little {}",
    "my {}",
    "looking for a {}",
    "lost {}",
    "missing {}",
    "find the {}",
    "show me a {}",
)

PROMPT_TEMPLATES = ("{}", "a {}", "a drawing of a {}")
LABEL_TEMPLATES = ("{}", "a {}", "a drawing of a {}", "a photo of a {}")


@dataclass(frozen=True)
class Text:
    """A text with the facts it states; it describes every drawing in which all of them hold."""

    words: str
    facts: frozenset[str]


def facts_of(attributes: Attributes) -> frozenset[str]:
    """All facts of a drawing as `field:value`, such as `background:grass`."""
    kind = attributes.kind
    facts = {
        f"kind:{kind.name}",
        f"species:{kind.species}",
        f"pose:{attributes.pose}",
        f"background:{attributes.background}",
        f"coats:{' and '.join(sorted(attributes.coat.words))}",
        *(f"look:{word}" for word in kind.looks),
    }
    if not attributes.coat.even:
        facts.add(f"coat:{attributes.coat.words[0]}")
    if attributes.accessory and attributes.accessory_colour:
        facts.add(f"accessory:{attributes.accessory}")
        facts.add(f"accessory:{attributes.accessory_colour} {attributes.accessory}")
    return frozenset(facts)


def full_caption(attributes: Attributes) -> str:
    """A sentence with all attributes; the same attributes always give the same sentence."""
    *others, last = attributes.coat.words
    coat = f"{', '.join(others)} and {last}" if others else last
    name = attributes.kind.name
    subject = name if coat in name else f"{coat} {name}"
    if name in _ADJECTIVES:
        subject = f"{subject} {attributes.kind.species}"
    parts = [subject, attributes.pose, BACKGROUND_WORDS[attributes.background][0]]
    if attributes.accessory:
        parts.append(f"with a {attributes.accessory_colour} {attributes.accessory}")
    article = "an" if subject[0] in "aeio" else "a"
    return f"{article} {' '.join(parts)}"


_ADJECTIVES = ("tabby", "siamese", "calico", "persian")


def any_text(attributes: Attributes, rng: random.Random) -> Text:
    """A random text that describes a drawing: a subject, and possibly other facts."""
    if attributes.accessory and rng.random() < 0.5:
        return _accessory_text(attributes, rng)
    subject, facts = _subject(attributes, rng)
    tail: list[tuple[str, set[str]]] = []
    if rng.random() < 0.4:
        tail.append((rng.choice(POSE_WORDS[attributes.pose]), {f"pose:{attributes.pose}"}))
    if rng.random() < 0.55:
        tail.append(_place(attributes, rng))
    if attributes.accessory and rng.random() < 0.3:
        tail.append(_accessory(attributes, rng))
    if not facts and not tail:
        tail = [_place(attributes, rng)]
    rng.shuffle(tail)
    return _joined(subject, facts, tail, rng)


def _accessory_text(attributes: Attributes, rng: random.Random) -> Text:
    """A text in which mainly the accessory distinguishes the pet.

    Beside kind and place an accessory would distinguish little in a batch, and hardly be learned.
    """
    if rng.random() < 0.3:
        subject, facts = _subject(attributes, rng)
    else:
        species = attributes.kind.species
        subject, facts = rng.choice(SPECIES_WORDS[species]), {f"species:{species}"}
    return _joined(subject, facts, [_accessory(attributes, rng)], rng)


def _joined(
    subject: str, facts: set[str], tail: Sequence[tuple[str, set[str]]], rng: random.Random
) -> Text:
    words = " ".join([subject, *(word for word, _ in tail)]).strip()
    named = facts.union(*(more for _, more in tail))
    return Text(rng.choice(FRAMES).replace("{}", words), frozenset(named))


def describes(text_facts: frozenset[str], drawing_facts: frozenset[str]) -> bool:
    """Whether all facts of a text hold in a drawing."""
    return text_facts <= drawing_facts


def vocabulary() -> frozenset[str]:
    """Every word that texts of this module can contain, in lower case."""
    tables = (
        KIND_WORDS,
        SPECIES_WORDS,
        COAT_WORDS,
        LOOK_WORDS,
        POSE_WORDS,
        BACKGROUND_WORDS,
        ACCESSORY_WORDS,
    )
    phrases = [*FRAMES, *PROMPT_TEMPLATES, *LABEL_TEMPLATES]
    phrases += [phrase for table in tables for choices in table.values() for phrase in choices]
    phrases.append("with a red blue yellow pink and pet animal with its")
    return frozenset(word for phrase in phrases for word in phrase.replace("{}", " ").split())


def _place(attributes: Attributes, rng: random.Random) -> tuple[str, set[str]]:
    phrase = rng.choice(BACKGROUND_WORDS[attributes.background])
    return phrase, {f"background:{attributes.background}"}


def _subject(attributes: Attributes, rng: random.Random) -> tuple[str, set[str]]:
    kind = attributes.kind
    draw = rng.random()
    if draw < 0.06:
        return rng.choice(("pet", "animal", "")), set()
    words: list[str] = []
    facts: set[str] = set()
    if rng.random() < 0.5:
        words, facts = _coat(attributes, rng)
    if kind.looks and rng.random() < 0.3:
        look = rng.choice(kind.looks)
        words, facts = [*words, rng.choice(LOOK_WORDS[look])], {*facts, f"look:{look}"}
    if draw < 0.62:
        noun, fact = rng.choice(KIND_WORDS[kind.name]), f"kind:{kind.name}"
        if set(words) & set(noun.split()):
            words = []
    else:
        noun, fact = rng.choice(SPECIES_WORDS[kind.species]), f"species:{kind.species}"
    return " ".join([*words, noun]), {*facts, fact, f"species:{kind.species}"}


def _coat(attributes: Attributes, rng: random.Random) -> tuple[list[str], set[str]]:
    coat = attributes.coat
    if len(coat.words) == 2 and (coat.even or rng.random() < 0.5):
        phrase = " and ".join(_coat_word(word, rng) for word in rng.sample(coat.words, 2))
        return phrase.split(), {f"coats:{' and '.join(sorted(coat.words))}"}
    if coat.even:
        return [], set()
    return _coat_word(coat.words[0], rng).split(), {f"coat:{coat.words[0]}"}


def _coat_word(colour: str, rng: random.Random) -> str:
    choices: Sequence[str] = COAT_WORDS[colour]
    return choices[0] if rng.random() < 0.7 else rng.choice(choices)


def _accessory(attributes: Attributes, rng: random.Random) -> tuple[str, set[str]]:
    accessory, colour = str(attributes.accessory), str(attributes.accessory_colour)
    noun = rng.choice(ACCESSORY_WORDS[accessory])
    if rng.random() < 0.7:
        return f"with a {colour} {noun}", {f"accessory:{colour} {accessory}"}
    return f"with a {noun}", {f"accessory:{accessory}"}
