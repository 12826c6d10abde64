"""A CLIP at random weights: its speed does not depend on what it has learned."""

import json
from pathlib import Path


def random_vit(folder: Path) -> str:
    """ViT-B/32 at random weights as an open_clip folder."""
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
