"""CLIP through open_clip: loads a model, measures the best precision, encodes pixels and tokens.

The only file of the shared package that imports torch; bootstrap loads it when a model is to run
in this process.
"""

import copy
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip.pretrained import (
    download_pretrained,
    get_pretrained_cfg,
    list_pretrained_tags_by_model,
)
from torch import nn

from petsearch.errors import ConfigurationError, unknown_choice
from petsearch.model import Embeddings, Label, ModelInfo, Pixels, PixelSpec, normalise_name
from petsearch.observability import get_logger
from petsearch.ports import Tokens
from petsearch.prompts import DEFAULT_TEMPLATES, OXFORD_LABELS
from petsearch.sample.catalogue import MODEL_DIR

log = get_logger(__name__)

_WEIGHTS = "open_clip_model.safetensors"
_CONFIG = "open_clip_config.json"
_LABELS = "labels.json"
_MIN_AGREEMENT = 0.999
"""A faster precision is taken only if its embeddings have this cosine to fp32's."""
_HUB_ERRORS = (OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class _Source:
    """Where a model comes from, resolved to what open_clip takes."""

    spec: str
    name: str
    architecture: str
    pretrained: str | None
    hashed_files: tuple[Path, ...]
    labels_file: Path | None


def load_model(spec: str, *, device: str | None = None) -> "OpenClipModel":
    """Load `hub:<arch>/<tag>`, `dir:<open_clip local-dir>` or `sample`, ready to encode.

    Raises:
        ConfigurationError: there is no such model, or the hub cannot be reached.
    """
    source = _resolve(spec)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    started = time.perf_counter()
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            source.architecture, pretrained=source.pretrained, device="cpu"
        )
        tokenizer = open_clip.get_tokenizer(source.architecture)
    except _HUB_ERRORS as error:
        raise ConfigurationError(f"The model {spec!r} does not load: {error}") from error
    module = cast(nn.Module, model).eval().requires_grad_(requires_grad=False)
    pixel_spec, mean, std = _preprocessing(module)
    module, precision = _choose_precision(module, pixel_spec, where)
    info = _describe(source, module, pixel_spec, device=str(where), precision=precision)
    loaded = OpenClipModel(info, module, tokenizer, mean=mean, std=std)
    loaded.warm_up()
    log.info(
        "model ready",
        model_id=info.model_id,
        device=info.device,
        precision=precision,
        seconds=round(time.perf_counter() - started, 2),
    )
    return loaded


class OpenClipModel:
    """A CLIP on one device. Not thread-safe: the batcher's one thread calls it."""

    def __init__(
        self,
        info: ModelInfo,
        module: nn.Module,
        tokenizer: Callable[[Sequence[str]], torch.Tensor],
        *,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.info = info
        self._module = module
        self._tokenizer = tokenizer
        self._dtype = _dtype_of(info.precision)
        self._device = torch.device(info.device)
        # (x / 255 - mean) / std in one multiply-add.
        scale = 1.0 / (255.0 * torch.tensor(std))
        self._scale = scale.view(1, 3, 1, 1).to(self._device)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1).to(self._device)
        self._text_tower = _trimmable_text_tower(module)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Token ids int64 `(n, context_length)`, cut and padded. Safe in any thread."""
        return cast(Tokens, self._tokenizer(list(texts)).numpy())

    @torch.inference_mode()
    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """uint8 `(n, 3, height, width)` to float32 `(n, dim)`, L2-normalised."""
        batch = torch.from_numpy(pixels).to(self._device, non_blocking=True)
        batch = torch.addcmul(self._shift, batch.float(), self._scale)
        batch = batch.to(self._dtype, memory_format=torch.channels_last)
        return _normalised(cast(Any, self._module).encode_image(batch))

    @torch.inference_mode()
    def encode_tokens(self, tokens: Tokens) -> Embeddings:
        """int64 `(n, context_length)` to float32 `(n, dim)`, L2-normalised."""
        ids = torch.from_numpy(tokens).to(self._device, non_blocking=True)
        if self._text_tower is None:
            return _normalised(cast(Any, self._module).encode_text(ids))
        return _normalised(_encode_trimmed(self._text_tower, ids))

    def warm_up(self) -> None:
        """One forward pass of each tower, so that the first query does not pay for set-up."""
        spec = self.info.pixel_spec
        self.encode_pixels(np.zeros((1, 3, spec.height, spec.width), np.uint8))
        self.encode_tokens(self.tokenise(["a photo of a pet"]))


def _normalised(features: torch.Tensor) -> Embeddings:
    embeddings = F.normalize(features.float(), dim=-1).cpu().numpy()
    return cast(NDArray[np.float32], embeddings)


# --- the text tower, run only to the last end-of-text position -----------------------------


def _trimmable_text_tower(module: nn.Module) -> nn.Module | None:
    """The text tower if trimming it is exact (causal, pooled at end of text), else None."""
    tower = cast(nn.Module, getattr(module, "text", module))
    pool = getattr(tower, "pool_type", None) or getattr(module, "text_pool_type", None)
    causal = getattr(tower, "attn_mask", None) is not None
    plain = getattr(tower, "cls_emb", None) is None and not getattr(tower, "use_pad_mask", False)
    return tower if pool == "argmax" and causal and plain else None


def _encode_trimmed(tower: Any, ids: torch.Tensor) -> torch.Tensor:
    """As open_clip's `encode_text`, without the positions after the last end of text.

    The tower is causal, so what comes after the end-of-text token (the largest id) cannot change
    the features there.
    """
    end_of_text = ids.argmax(dim=-1)
    length = int(end_of_text.max()) + 1
    ids = ids[:, :length]
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


# --- precision ------------------------------------------------------------------------------


def _dtype_of(precision: str) -> torch.dtype:
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def _choose_precision(
    module: nn.Module, spec: PixelSpec, device: torch.device
) -> tuple[nn.Module, Literal["fp32", "bf16", "fp16"]]:
    """The module on `device`, in the precision that measures faster and agrees with fp32.

    Channels-last memory is 1.7 times as fast for convolutions on the CPU and costs a ViT nothing.
    """
    module = cast(nn.Module, module.to(device, memory_format=torch.channels_last))  # type: ignore[call-overload]  # torch's stub lacks memory_format with a device
    low: Literal["bf16", "fp16"] = (
        "fp16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bf16"
    )
    reduced = copy.deepcopy(module).to(_dtype_of(low))
    probe = torch.rand(
        (8, 3, spec.height, spec.width), generator=torch.Generator().manual_seed(0)
    ).to(device, memory_format=torch.channels_last)
    full_s, full = _time_images(module, probe)
    reduced_s, low_features = _time_images(reduced, probe.to(_dtype_of(low)))
    agreement = float((full * low_features).sum(dim=-1).min())
    take_low = reduced_s < full_s and agreement >= _MIN_AGREEMENT
    log.info(
        "precision measured",
        chosen=low if take_low else "fp32",
        fp32_ms=round(full_s * 1e3, 1),
        reduced=low,
        reduced_ms=round(reduced_s * 1e3, 1),
        agreement=round(agreement, 5),
    )
    return (reduced, low) if take_low else (module, "fp32")


@torch.inference_mode()
def _time_images(module: nn.Module, batch: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Best of three after a warm-up, in seconds, and the normalised features."""
    times = []
    for _ in range(4):
        started = time.perf_counter()
        features = F.normalize(cast(Any, module).encode_image(batch).float(), dim=-1).cpu()
        times.append(time.perf_counter() - started)
    return min(times[1:]), features


# --- where models come from -----------------------------------------------------------------


def _resolve(spec: str) -> _Source:
    kind, _, rest = spec.partition(":")
    if spec == "sample":
        return _folder_source(spec, MODEL_DIR, name="sample")
    if kind == "dir" and rest:
        path = Path(rest).expanduser().resolve()
        return _folder_source(f"dir:{path}", path, name=path.name)
    if kind == "hub" and rest:
        return _hub_source(spec, rest)
    raise ConfigurationError(
        f"PETSEARCH_MODEL (--model) is {spec!r}. "
        "Give hub:<arch>/<tag> (hub:ViT-B-32/openai), dir:<open_clip folder> or sample."
    )


def _folder_source(spec: str, path: Path, *, name: str) -> _Source:
    for needed in (_CONFIG, _WEIGHTS):
        if not (path / needed).is_file():
            raise ConfigurationError(
                f"{path} is no open_clip model folder: {needed} is missing. "
                "A model folder holds open_clip_config.json and open_clip_model.safetensors."
            )
    labels = path / _LABELS
    return _Source(
        spec=spec,
        name=name,
        architecture=f"local-dir:{path}",
        pretrained=None,
        hashed_files=(path / _WEIGHTS, path / _CONFIG),
        labels_file=labels if labels.is_file() else None,
    )


def _hub_source(spec: str, rest: str) -> _Source:
    architecture, _, tag = rest.partition("/")
    known = open_clip.list_models()
    if architecture not in known:
        raise _choice_error("model architecture", architecture, known)
    tags = list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        raise _choice_error(f"pretrained tag of {architecture}", tag, tags)
    try:
        weights = download_pretrained(get_pretrained_cfg(architecture, tag))
    except Exception as error:  # the hub client's own tree is wide: HTTP, DNS, TLS, disk
        raise ConfigurationError(
            f"The weights of {spec} cannot be fetched from the model hub ({type(error).__name__}). "
            "Check the network, fetch them once on a machine that has one and copy its cache "
            "(HF_HOME), or use --model dir:<folder> or --model sample."
        ) from error
    return _Source(
        spec=spec,
        name=f"{architecture}-{tag}",
        architecture=architecture,
        pretrained=tag,
        hashed_files=(Path(weights),),
        labels_file=None,
    )


def _choice_error(what: str, given: str, accepted: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(unknown_choice(what, given, accepted).detail)


def _model_id(source: _Source) -> str:
    digest = hashlib.sha256()
    for path in source.hashed_files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{source.name}-{digest.hexdigest()[:12]}"


def _preprocessing(module: nn.Module) -> tuple[PixelSpec, Sequence[float], Sequence[float]]:
    config = cast(Any, module).visual.preprocess_cfg
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    if config["interpolation"] not in ("bicubic", "bilinear"):
        raise unknown_choice("interpolation", config["interpolation"], ["bicubic", "bilinear"])
    spec = PixelSpec(
        height=height,
        width=width,
        resize_mode=config["resize_mode"],
        interpolation=config["interpolation"],
        fill_color=config["fill_color"],
    )
    return spec, config["mean"], config["std"]


def _describe(
    source: _Source, module: nn.Module, spec: PixelSpec, *, device: str, precision: str
) -> ModelInfo:
    words = json.loads(source.labels_file.read_text()) if source.labels_file else {}
    labels = tuple(
        Label(normalise_name(entry["breed"]), normalise_name(entry["species"]))
        for entry in words.get("labels", ())
    )
    return ModelInfo(
        model_id=_model_id(source),
        spec=source.spec,
        dim=_embedding_dim(module, spec),
        pixel_spec=spec,
        logit_scale=float(cast(Any, module).logit_scale.exp()),
        labels=labels or OXFORD_LABELS,
        prompt_templates=tuple(words.get("prompt_templates", DEFAULT_TEMPLATES)),
        label_templates=tuple(words.get("label_templates", DEFAULT_TEMPLATES)),
        device=device,
        precision=precision,
    )


@torch.inference_mode()
def _embedding_dim(module: nn.Module, spec: PixelSpec) -> int:
    parameter = next(module.parameters())
    pixels = torch.zeros(
        (1, 3, spec.height, spec.width), dtype=parameter.dtype, device=parameter.device
    )
    return int(cast(Any, module).encode_image(pixels).shape[-1])
