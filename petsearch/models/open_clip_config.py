"""Checks open_clip_config.json before open_clip reads it.

Some of its keys name models and tokenizers on a hub, or let their repositories run code. A model
folder may come from anyone, so only keys that describe an architecture are accepted.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from petsearch.domain.errors import ConfigurationError

_MOST_BYTES = 1024 * 1024
_TOWER = """
    act_kwargs block_type final_ln_after_pool layers ls_init_value mlp_ratio norm_kwargs
    output_tokens pool_type qk_norm scale_attn scale_attn_inner scale_fc scale_heads
    scaled_cosine_attn width
"""
_TEXT = f"""{_TOWER}
    context_length embed_cls eos_id heads hf_tokenizer_name no_causal_mask pad_id proj_bias
    proj_type tokenizer_kwargs tokenizer_mode vocab_size
"""
_VISION = f"""{_TOWER}
    attentional_pool attn_pooler_heads attn_pooler_queries head_width image_size no_ln_pre
    patch_dropout patch_size pos_embed_type timm_drop timm_drop_path timm_model_name
    timm_model_pretrained timm_pool timm_proj timm_proj_bias
"""
_KEYS = {
    "": "model_cfg preprocess_cfg",
    "model_cfg": """
        custom_text embed_dim init_logit_bias init_logit_scale multimodal_cfg
        nonscalar_logit_scale quick_gelu text_cfg vision_cfg
    """,
    "model_cfg.text_cfg": _TEXT,
    "model_cfg.text_cfg.tokenizer_kwargs": "clean language reduction_mask strip_sep_token",
    "model_cfg.vision_cfg": _VISION,
    "model_cfg.multimodal_cfg": f"{_TEXT} attn_pooler_heads dim_head n_queries",
    "preprocess_cfg": "fill_color interpolation mean mode resize_mode size std",
}
_OPEN = ("act_kwargs", "norm_kwargs")
"""Objects whose keys are arguments of a layer."""
_WORD = re.compile(r"[\w.-]{0,200}", re.ASCII)
_HUB_NAME = re.compile(r"[\w./-]{0,200}", re.ASCII)
"""A folder's tokenizer is in the folder; open_clip only looks whether it is named."""


def check_config(path: Path) -> None:
    """Check the configuration of a model folder.

    Raises:
        ConfigurationError: it is no JSON object, or has a key or value that is not accepted.
    """
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_MOST_BYTES))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.") from error
    problem = next(_problems(found, ""), None)
    if problem is not None:
        raise ConfigurationError(f"{path} is not loaded: {problem}.")


def _problems(found: object, where: str) -> Iterator[str]:
    if not isinstance(found, Mapping):
        yield f"{where or 'its content'} is not an object"
        return
    accepted = _KEYS[where].split()
    for key, value in found.items():
        name = f"{where}.{key}".lstrip(".")
        if key not in accepted:
            yield f"it has {name[:200]!r}; accepted here: {', '.join(accepted)}"
        elif name in _KEYS:
            yield from _problems(value, name)
        elif not _is_accepted(key, value):
            yield f"{name} is {str(value)[:200]!r}; nothing is fetched from elsewhere for a folder"


def _is_accepted(key: str, value: Any) -> bool:
    """Whether a value describes an architecture: numbers and plain words."""
    if key == "timm_model_pretrained":
        return value in (False, None)
    if key == "hf_tokenizer_name" and isinstance(value, str):
        return _HUB_NAME.fullmatch(value) is not None
    if isinstance(value, dict):
        return key in _OPEN and all(_is_plain(entry) for entry in value.values())
    return _is_plain(value) or (isinstance(value, list) and all(map(_is_plain, value)))


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, (int, float, bool))
