"""Reads filters as the index takes them: names as they are stored, times with a zone.

It tells which species and breeds no photo can have.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import tzinfo
from difflib import get_close_matches
from typing import Any

from petsearch.domain import Filters, SureFrom, UnknownName, normalise_name
from petsearch.models import Catalogue, Target
from petsearch.ports import IndexReader
from petsearch.search import breed_names

_KNOWN = ("species", "not_species", "breed", "not_breed")
_NORMALISED = ("status", "not_status", *_KNOWN)


@dataclass(frozen=True)
class FilterNames:
    """The names that filters may hold: those of the model's labels, and those in use."""

    index: IndexReader
    catalogue: Catalogue
    sure_from: SureFrom
    zone: tzinfo
    """Of times that name none."""

    def normalised(self, filters: Filters, target: Target | None = None) -> Filters:
        """Return `filters` with names as they are stored, and times that are instants.

        They are for reading: guesses may leave photos out (`Filters.sure_from`). Names that neither
        the model nor any photo has are in `Filters.unknown`.

        Args:
            target: looked up if it is None and a name needs it; other lists need no embedder.
        """
        if target is None and any(getattr(filters, name) for name in _KNOWN):
            target = self.catalogue.current()
        labels = target.model.labels if target is not None else ()
        names: dict[str, Any] = {
            name: tuple(map(normalise_name, getattr(filters, name))) for name in _NORMALISED
        }
        return replace(
            filters,
            **names,
            created=filters.created and filters.created.in_zone(self.zone),
            taken=filters.taken and filters.taken.in_zone(self.zone),
            species_of_breed={label.breed: label.species for label in labels},
            sure_from=self.sure_from,
            unknown=() if target is None else self._unknown(filters, target),
        )

    def _unknown(self, filters: Filters, target: Target) -> tuple[UnknownName, ...]:
        asked = [(of, name) for of in _KNOWN for name in getattr(filters, of)]
        known = {
            field: {getattr(label, field) for label in target.model.labels}
            for field in ("species", "breed")
        }
        for field, names in known.items():
            if any(_field(of) == field and normalise_name(name) not in names for of, name in asked):
                names.update(self.index.facet(target.collection, f"label.{field}", Filters()))
        return tuple(
            UnknownName(of, name, _meant(normalise_name(name), known[_field(of)]))
            for of, name in asked
            if normalise_name(name) not in known[_field(of)]
        )


def _field(of: str) -> str:
    return of.removeprefix("not_")


def _meant(name: str, known: Collection[str]) -> str | None:
    corrected = breed_names.correct(name, known)
    nearest = [corrected] if corrected in known else get_close_matches(name, known, 1)
    return nearest[0] if nearest else None
