"""The texts of held_out_texts.toml, which only measure: nothing is trained or fitted on them."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

HELD_OUT_TEXTS = Path(__file__).with_suffix(".toml")
BREED_NAMES = "breed names"

Texts = tuple[str, ...]


@dataclass(frozen=True)
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
    tables = tomllib.loads(HELD_OUT_TEXTS.read_text(encoding="utf-8"))
    return TypeAdapter(HeldOutTexts).validate_python(tables)
