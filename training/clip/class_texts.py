"""Text embeddings in training: class names in prompts, and off-topic texts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from petsearch.adapters.clip.trimmed_text import encode_trimmed, trimmable_text_tower
from petsearch.domain.prompts import apply_templates

Tokenise = Callable[[Sequence[str]], Tensor]


class TextEncoder:
    """The text tower of a CLIP, run with gradients on token sequences of minimal length."""

    def __init__(self, module: nn.Module, tokenise: Tokenise, device: torch.device) -> None:
        self._module: Any = module
        self._tower = trimmable_text_tower(module)
        self._tokenise = tokenise
        self._device = device

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """int64 `(n, length)` on the device, cut after the last end of text if that is exact."""
        ids = self._tokenise(list(texts))
        if self._tower is not None:
            # The end-of-text token has the largest id.
            ids = ids[:, : int(ids.argmax(dim=-1).max()) + 1]
        return ids.to(self._device)

    def encode(self, tokens: Tensor) -> Tensor:
        """Embeddings, float32 `(n, dim)`, L2-normalised."""
        features = (
            self._module.encode_text(tokens)
            if self._tower is None
            else encode_trimmed(self._tower, tokens)
        )
        return F.normalize(features.float(), dim=-1)


class ClassTexts:
    """Embeddings of class names in prompt templates."""

    def __init__(
        self, encoder: TextEncoder, names: Sequence[str], templates: Sequence[str]
    ) -> None:
        self._encoder = encoder
        self._tokens = [
            encoder.tokens([apply_templates(name, [template])[0] for name in names])
            for template in templates
        ]
        self._frozen: Tensor | None = None

    def __len__(self) -> int:
        """Number of templates."""
        return len(self._tokens)

    def in_template(self, number: int) -> Tensor:
        """Embeddings `(classes, dim)` in one template, with gradients."""
        return self._encoder.encode(self._tokens[number])

    def ensemble(self) -> Tensor:
        """Embeddings `(classes, dim)`: the normalised mean over the templates."""
        rows = torch.stack([self._encoder.encode(tokens) for tokens in self._tokens])
        return F.normalize(rows.mean(dim=0), dim=-1)

    @torch.no_grad()
    def frozen_ensemble(self) -> Tensor:
        """`ensemble` of a frozen text tower, computed once."""
        if self._frozen is None:
            self._frozen = self.ensemble()
        return self._frozen
