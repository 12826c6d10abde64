"""Checks the names in filters: a breed or species that no photo can have is an error."""

from dataclasses import dataclass, replace
from typing import Literal

from petsearch.domain import Filters, normalise_name
from petsearch.domain.errors import unknown_choice
from petsearch.models import Catalogue, Target
from petsearch.ports import IndexReader


@dataclass(frozen=True)
class FilterNames:
    """The names that filters may hold: those of the model's labels, and those in use."""

    index: IndexReader
    catalogue: Catalogue

    def normalised(self, filters: Filters, target: Target | None = None) -> Filters:
        """Return `filters` with names as they are stored.

        Args:
            target: looked up if it is None and a name needs it; other lists need no embedder.

        Raises:
            InvalidInput: neither the model nor any photo has the breed or species.
        """
        if target is None and (filters.species or filters.breed):
            target = self.catalogue.current()
        return replace(
            filters,
            status=normalise_name(filters.status) if filters.status else None,
            species=self._known("species", filters.species, target),
            breed=self._known("breed", filters.breed, target),
        )

    def _known(
        self, field: Literal["species", "breed"], name: str | None, target: Target | None
    ) -> str | None:
        if name is None or target is None:
            return None
        wanted = normalise_name(name)
        by_model = {getattr(label, field) for label in target.model.labels}
        if wanted in by_model:
            return wanted
        in_use = self.index.facet(target.collection, field, Filters())
        if wanted in in_use:
            return wanted
        raise unknown_choice(field, name, {*by_model, *in_use})
