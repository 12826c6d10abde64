"""Off-topic texts for training on photos: listed ones and random words of the vocabulary."""

import random
from collections.abc import Sequence

from open_clip import SimpleTokenizer

from training.drawings.data import background_words
from training.finetuning.config import LossConfig

_FRAMES = ("{}", "{}", "a {}", "a photo of a {}", "a picture of a {}", "my {}")
_LISTED_SHARE = 0.3
# Words for pets in general; background_words already leaves out those of the drawings' captions.
_PET_WORDS = frozenset({"pet", "pets", "animal", "animals", "breed", "breeds", "photo", "type"})


class OffTopicTexts:
    """Draws off-topic texts; the same step gets the same texts."""

    def __init__(
        self, config: LossConfig, class_names: Sequence[str], templates: Sequence[str], seed: int
    ) -> None:
        self._listed = config.off_topic
        named = {word for name in class_names for word in name.split()} | _PET_WORDS
        named |= {f"{word}s" for word in named}
        words = background_words(SimpleTokenizer().encoder, config.off_topic_held_out)
        self._words = [word for word in words if word not in named]
        # Most queries are encoded in a template of the model.
        self._frames = (*_FRAMES, *templates)
        self._seed = seed

    def draw(self, count: int, step: int) -> list[str]:
        """Draw `count` texts for a step."""
        rng = random.Random(f"{self._seed}/off-topic/{step}")
        return [self._text(rng) for _ in range(count)]

    def _text(self, rng: random.Random) -> str:
        if self._listed and rng.random() < _LISTED_SHARE:
            words = rng.choice(self._listed)
        else:
            words = " ".join(rng.choices(self._words, k=rng.randint(1, 4)))
        return rng.choice(self._frames).replace("{}", words)
