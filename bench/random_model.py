"""A CLIP with random weights: its speed does not depend on its weights."""

import json
from pathlib import Path


def random_vit(folder: Path) -> str:
    """Write ViT-B/32 with random weights as an open_clip folder; returns its address."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32")
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    config = {
        "model_cfg": open_clip.get_model_config("ViT-B-32"),
        "preprocess_cfg": open_clip.get_model_preprocess_cfg(model),
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"dir:{folder}"
