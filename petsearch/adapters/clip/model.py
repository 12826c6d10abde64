"""CLIP through open_clip: loads a model, encodes pixels and tokens.

It imports torch, so it is imported only where a model runs.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from petsearch.adapters.clip.byte_pairs import bound_words
from petsearch.adapters.clip.inference_tuning import dtype_of, tune_for_inference
from petsearch.adapters.clip.library import open_clip
from petsearch.adapters.clip.sources import ModelSource, resolve_model
from petsearch.adapters.clip.trimmed_text import encode_trimmed, length_groups, trimmable_text_tower
from petsearch.domain import (
    Embeddings,
    ModelInfo,
    ModelUsage,
    Pixels,
    PixelSpec,
    Precision,
)
from petsearch.domain.errors import ConfigurationError, DeviceLost, DeviceMemoryFull, unknown_choice
from petsearch.models.descriptions import describe
from petsearch.models.hub import cached_if_unreachable
from petsearch.observability import get_logger
from petsearch.ports import ClipModel, Tokens

log = get_logger(__name__)

_HUB_ERRORS = (OSError, RuntimeError, ValueError)

_MANY_LANGUAGES = 100_000
"""CLIP and SigLIP know at most 50,000 tokens, XLM-R and multilingual SigLIP at least 250,000."""
_LONGER_THAN_TEXTS = 8192
"""Tokens; the longest query has 4,000 characters."""


class Tokenizer(Protocol):
    """A tokenizer of open_clip."""

    def __call__(self, texts: Sequence[str], context_length: int | None = None) -> torch.Tensor:
        """Token ids int64 `(n, context_length)`, cut to the model's length if none is given."""
        ...


def load_model(
    source: ModelSource | str, *, device: str | None = None, precision: Precision | None = None
) -> "OpenClipModel":
    """Load a model from its source, or an address that `resolve_model` takes, ready to encode.

    Args:
        source: what to load.
        device: the GPU if there is one, if not given.
        precision: the fastest with the same embeddings, if not given; that depends on timing.

    Raises:
        ConfigurationError: there is no such model, or the hub cannot be reached.
    """
    source = resolve_model(source) if isinstance(source, str) else source
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    started = time.perf_counter()
    module, tokenizer = create_module(source)
    module = module.eval().requires_grad_(requires_grad=False)
    pixel_spec, mean, std = preprocessing_of(module)
    module, taken = tune_for_inference(module, pixel_spec, where, precision)
    info = _describe(source, module, pixel_spec, device=str(where), precision=taken)
    loaded = OpenClipModel(info, module, tokenizer, mean=mean, std=std)
    loaded.warm_up()
    log.info(
        "model ready",
        model_id=info.model_id,
        device=info.device,
        precision=taken,
        seconds=round(time.perf_counter() - started, 2),
    )
    return loaded


def create_module(
    source: ModelSource, *, image_size: int | None = None
) -> tuple[nn.Module, Tokenizer]:
    """Create open_clip's module on the CPU, with its weights, and its tokenizer.

    Args:
        source: what to load.
        image_size: side of its images in pixels; None keeps the model's own.

    Raises:
        ConfigurationError: it does not load.
    """
    try:
        # Files of the hub are in the cache; its client would still ask whether they changed.
        with cached_if_unreachable() if source.pretrained else nullcontext():
            model, _, _ = open_clip.create_model_and_transforms(
                source.architecture,
                pretrained=source.pretrained,
                device="cpu",
                force_quick_gelu=source.quick_gelu,
                force_image_size=image_size,
            )
            tokenizer = open_clip.get_tokenizer(source.architecture)
    except ImportError as error:
        raise ConfigurationError(
            f"The model {source.spec!r} needs another library ({error}): "
            "pip install transformers sentencepiece protobuf"
        ) from error
    except _HUB_ERRORS as error:
        raise ConfigurationError(f"The model {source.spec!r} does not load: {error}") from error
    bound_words(tokenizer)
    return cast(nn.Module, model), tokenizer


@contextmanager
def _device_errors() -> Iterator[None]:
    """Raise torch's device errors as petsearch errors."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryFull("The batch does not fit into the device's memory.") from error
    except RuntimeError as error:
        if "CUDA error" in str(error):
            raise DeviceLost(f"The device is lost: {error}") from error
        raise


class OpenClipModel(ClipModel):
    """A CLIP on one device. Not thread-safe: the batcher's one thread calls it."""

    def __init__(
        self,
        info: ModelInfo,
        module: nn.Module,
        tokenizer: Tokenizer,
        *,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.info = info
        self._module = module
        self._tokenizer = tokenizer
        self._dtype = dtype_of(info.precision)
        self._device = torch.device(info.device)
        # (x / 255 - mean) / std in one multiply-add.
        self._scale = (1.0 / (255.0 * torch.tensor(std))).view(1, 3, 1, 1).to(self._device)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1).to(self._device)
        self._text_tower = trimmable_text_tower(module)
        self._positions_needed = self._positions_computed = 0

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Token ids int64 `(n, context_length)`, cut and padded. Safe in any thread."""
        return cast(Tokens, self._tokenizer(list(texts)).numpy())

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        rows = self._tokenizer(list(texts), _LONGER_THAN_TEXTS).numpy()
        # What follows the text is padding, all alike.
        return [int(np.flatnonzero(row != row[-1]).max(initial=-1)) + 1 for row in rows]

    @_device_errors()
    @torch.inference_mode()
    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """uint8 `(n, 3, height, width)` to float32 `(n, dim)`, L2-normalised."""
        # torch requires writable memory; a body that came over HTTP is not.
        writable = pixels if pixels.flags.writeable else pixels.copy()
        batch = self._to_device(torch.from_numpy(writable))
        batch = torch.addcmul(self._shift, batch.float(), self._scale)
        batch = batch.to(self._dtype, memory_format=torch.channels_last)
        return _normalised(cast(Any, self._module).encode_image(batch))

    @_device_errors()
    @torch.inference_mode()
    def encode_tokens(self, tokens: Tokens) -> Embeddings:
        """int64 `(n, context_length)` to float32 `(n, dim)`, L2-normalised."""
        if self._text_tower is None:
            ids = self._to_device(torch.from_numpy(tokens))
            return _normalised(cast(Any, self._module).encode_text(ids))
        return self._encode_by_length(self._text_tower, tokens)

    def usage(self) -> ModelUsage:
        memory = torch.cuda.memory_allocated(self._device) if self._device.type == "cuda" else 0
        return ModelUsage(self._positions_needed, self._positions_computed, memory)

    def _encode_by_length(self, tower: nn.Module, tokens: Tokens) -> Embeddings:
        """Texts of like length together, each group only to its own last end of text."""
        # The end-of-text token has the largest id.
        lengths = tokens.argmax(axis=-1) + 1
        embeddings = np.empty((len(tokens), self.info.dim), np.float32)
        for group in length_groups(lengths):
            longest = int(lengths[group].max())
            ids = self._to_device(torch.from_numpy(tokens[group, :longest]))
            embeddings[group] = _normalised(encode_trimmed(tower, ids))
            self._positions_computed += longest * len(group)
        self._positions_needed += int(lengths.sum())
        return embeddings

    def _to_device(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)

    def warm_up(self) -> None:
        """One forward pass of each tower, so that the first query does not pay for set-up."""
        spec = self.info.pixel_spec
        self.encode_pixels(np.zeros((1, 3, spec.height, spec.width), np.uint8))
        self.encode_tokens(self.tokenise(["a photo of a pet"]))


def _normalised(features: torch.Tensor) -> Embeddings:
    return cast(Embeddings, F.normalize(features.float(), dim=-1).cpu().numpy())


# --- the description of a loaded model -----------------------------------------------------------


def preprocessing_of(module: nn.Module) -> tuple[PixelSpec, Sequence[float], Sequence[float]]:
    """The preprocessing of a CLIP of open_clip: shape, and mean and deviation of each channel.

    Raises:
        InvalidInput: it needs an interpolation that is not supported.
    """
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
    source: ModelSource, module: nn.Module, spec: PixelSpec, *, device: str, precision: Precision
) -> ModelInfo:
    bare = ModelInfo(
        model_id=source.model_id(),
        spec=source.spec,
        dim=_embedding_dim(module, spec),
        pixel_spec=spec,
        logit_scale=float(cast(Any, module).logit_scale.exp()),
        labels=(),
        prompt_templates=(),
        label_templates=(),
        context_length=cast(Any, module).context_length,
        is_english_only=_vocabulary_of(module) < _MANY_LANGUAGES,
        device=device,
        precision=precision,
    )
    labels, calibration = (
        None if path is None else path.read_bytes()
        for path in (source.labels_file, source.calibration_file)
    )
    return describe(bare, labels, calibration)


def _vocabulary_of(module: nn.Module) -> int:
    """How many tokens the text tower knows."""
    return int(getattr(module, "vocab_size", 0) or cast(Any, module).text.vocab_size)


@torch.inference_mode()
def _embedding_dim(module: nn.Module, spec: PixelSpec) -> int:
    parameter = next(module.parameters())
    pixels = torch.zeros(
        (1, 3, spec.height, spec.width), dtype=parameter.dtype, device=parameter.device
    )
    return int(cast(Any, module).encode_image(pixels).shape[-1])
