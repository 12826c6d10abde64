"""The text tower run only as far as its texts go: open_clip always runs all 77 positions."""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

_LONGEST_OF_GROUP = (16, 32)
"""Texts up to 16 tokens, up to 32, and longer ones are encoded apart."""
_SMALLEST_GROUP = 4
"""Fewer texts are not worth a pass of their own and go with the longer ones."""


def trimmable_text_tower(module: nn.Module) -> nn.Module | None:
    """The text tower if trimming it is exact (causal, pooled at end of text), else None."""
    tower = cast(nn.Module, getattr(module, "text", module))
    pool = getattr(tower, "pool_type", None) or getattr(module, "text_pool_type", None)
    causal = getattr(tower, "attn_mask", None) is not None
    plain = getattr(tower, "cls_emb", None) is None and not getattr(tower, "use_pad_mask", False)
    return tower if pool == "argmax" and causal and plain else None


def length_groups(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Positions of texts that are encoded together, by their lengths `(n,)`; all of them, once."""
    groups: list[NDArray[np.int64]] = []
    left = np.argsort(lengths, kind="stable")
    for longest in _LONGEST_OF_GROUP:
        count = int((lengths[left] <= longest).sum())
        if count >= _SMALLEST_GROUP or count == len(left):
            groups.append(left[:count])
            left = left[count:]
    return [group for group in (*groups, left) if len(group)]


def encode_trimmed(tower: Any, ids: torch.Tensor) -> torch.Tensor:
    """As open_clip's `encode_text` for `ids` `(n, length)` cut after their last end of text.

    The tower is causal, so what comes after the end-of-text token (the largest id) cannot change
    the features there.
    """
    end_of_text = ids.argmax(dim=-1)
    length = ids.shape[1]
    dtype = tower.transformer.get_cast_dtype()
    x = tower.token_embedding(ids).to(dtype) + tower.positional_embedding[:length].to(dtype)
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    x = tower.ln_final(x)[torch.arange(len(ids), device=ids.device), end_of_text]
    projection = tower.text_projection
    if projection is None:
        return cast(torch.Tensor, x)
    return cast(
        torch.Tensor, projection(x) if isinstance(projection, nn.Linear) else x @ projection
    )
