"""The architectures that docs/models.md names, built without weights.

Tokenizers of the library `transformers` come from the hub, so those of XLM-R and SigLIP are not
tried here; that they are not trimmed is.
"""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import open_clip
import pytest
import torch

from petsearch.adapters.clip.model import create_module, preprocessing_of
from petsearch.adapters.clip.sources import ModelSource
from petsearch.adapters.clip.trimmed_text import encode_trimmed, trimmable_text_tower
from petsearch.domain.errors import ConfigurationError

DOCUMENT = Path(__file__).parents[2] / "docs/models.md"
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
SIGLIP_STD = (0.5, 0.5, 0.5)
TEXTS = ["a cat", "a very long sentence about a small white dog that sleeps on a sofa"]


def _source(architecture: str) -> ModelSource:
    return ModelSource(
        spec=f"hub:{architecture}/none",
        name=architecture,
        architecture=architecture,
        pretrained=None,
        hashed_files=(),
        labels_file=None,
    )


def test_every_model_that_is_recommended_exists() -> None:
    named = re.findall(r"`hub:([\w-]+)/(\w+)`", DOCUMENT.read_text())
    assert len(named) >= 6
    for architecture, tag in named:
        assert tag in open_clip.pretrained.list_pretrained_tags_by_model(architecture), architecture


@pytest.mark.parametrize(
    ("architecture", "tag", "side", "deviation"),
    [
        ("ViT-B-32", "laion2b_s34b_b79k", 224, CLIP_STD),
        ("ViT-B-32-256", "datacomp_s34b_b86k", 256, CLIP_STD),
        ("ViT-B-16", "laion2b_s34b_b88k", 224, CLIP_STD),
        ("ViT-L-14", "datacomp_xl_s13b_b90k", 224, CLIP_STD),
        # Not causal: a text that is cut after its end has other features.
        ("ViT-B-16-SigLIP", "webli", 224, SIGLIP_STD),
        ("ViT-B-16-SigLIP-i18n-256", "webli", 256, SIGLIP_STD),
    ],
)
def test_sizes_and_trimming_follow_the_architecture(
    architecture: str, tag: str, side: int, deviation: tuple[float, ...]
) -> None:
    # The tag names what its weights were trained with; an architecture alone is CLIP's.
    trained = open_clip.pretrained.get_pretrained_cfg(architecture, tag)
    with torch.device("meta"):
        module = open_clip.create_model(
            architecture,
            device="meta",
            force_preprocess_cfg={name: trained[name] for name in ("mean", "std")},
        )
    spec, _, std = preprocessing_of(module)
    assert (spec.height, spec.width) == (side, side)
    assert tuple(std) == deviation
    assert (trimmable_text_tower(module) is not None) == (deviation == CLIP_STD)


def test_the_default_reads_texts_as_open_clip_does() -> None:
    torch.manual_seed(0)
    module, tokenizer = create_module(_source("ViT-B-32"))
    tower = trimmable_text_tower(module)
    assert tower is not None
    ids = tokenizer(TEXTS)
    assert ids.shape == (2, 77)
    longest = int((ids.argmax(dim=-1) + 1).max())
    with torch.inference_mode():
        trimmed = encode_trimmed(tower, ids[:, :longest])
        whole = cast(Any, module).encode_text(ids)
    assert np.allclose(trimmed, whole, atol=1e-4)


def test_a_model_that_needs_transformers_says_so() -> None:
    with pytest.raises(ConfigurationError, match="pip install transformers"):
        create_module(_source("xlm-roberta-base-ViT-B-32"))
