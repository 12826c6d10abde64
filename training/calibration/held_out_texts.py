"""The texts of held_out_texts.toml, which only measure: nothing is trained or fitted on them."""

from collections.abc import Collection
from pathlib import Path

from pydantic.dataclasses import dataclass

from training.runs.config_file import STRICT, read_toml, validated

HELD_OUT_TEXTS = Path(__file__).with_suffix(".toml")
BREED_NAMES = "breed names"

Texts = tuple[str, ...]


@dataclass(frozen=True, config=STRICT)
class HeldOutTexts:
    """Texts by kind."""

    breed_names: dict[str, Texts]
    """Texts that name a breed, by breed."""
    about_pets: dict[str, Texts]
    """Other texts about cats and dogs."""
    about_else: dict[str, Texts]

    def about(self, breeds: Collection[str]) -> dict[str, Texts]:
        """Texts about pets by kind; of those that name a breed, only the ones that name `breeds`.

        No photo shows the others, so whoever flags them is right.
        """
        named = (texts for breed, texts in self.breed_names.items() if breed in breeds)
        return {BREED_NAMES: tuple(text for texts in named for text in texts), **self.about_pets}

    @property
    def all(self) -> list[str]:
        """Every text."""
        tables = (self.breed_names, self.about_pets, self.about_else)
        return [text for table in tables for texts in table.values() for text in texts]


def read_held_out_texts() -> HeldOutTexts:
    """Read the file beside this module."""
    return validated(HeldOutTexts, read_toml(HELD_OUT_TEXTS), HELD_OUT_TEXTS)
