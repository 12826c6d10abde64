"""Training configuration: TOML read into frozen dataclasses; an unknown key is refused."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from petsearch.domain.errors import ConfigurationError
from training.finetuning.config import PhotoTrainingConfig, check_photo_config


@dataclass(frozen=True)
class ModelConfig:
    """The shape of a CLIP with open_clip's ModifiedResNet and text transformer."""

    image_size: int
    embed_dim: int
    vision_layers: tuple[int, ...]
    vision_width: int
    vision_head_width: int
    text_width: int
    text_heads: int
    text_layers: int
    context_length: int


@dataclass(frozen=True)
class DataConfig:
    """Which drawings and which off-topic texts to train on."""

    drawings: int
    seed: int
    workers: int
    """Processes that draw."""
    off_topic: tuple[str, ...]
    """Texts that describe no drawing."""
    off_topic_held_out: tuple[str, ...]
    """Off-topic texts for evaluation; no word of them is trained on."""


@dataclass(frozen=True)
class OptimisationConfig:
    """How long and how fast to train."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    background_texts: int
    """Off-topic texts a step."""
    background_weight: float
    precision: Literal["fp32", "bf16"]
    """Of the image tower while training; bf16 is twice as fast on CPUs that have it."""


@dataclass(frozen=True)
class EvaluationConfig:
    """The gallery of held-out drawings."""

    gallery: int
    seed: int
    min_relevant: int
    """Drawings are added until each attribute query has as many relevant ones."""


@dataclass(frozen=True)
class TrainingConfig:
    """One run, from data to evaluation."""

    model: ModelConfig
    data: DataConfig
    optimisation: OptimisationConfig
    evaluation: EvaluationConfig


_Section = TypeVar("_Section")


def read_any_config(path: Path) -> TrainingConfig | PhotoTrainingConfig:
    """Read the configuration of a run on photos (it has a table `photos`) or on drawings.

    Raises:
        ConfigurationError: as `read_config`.
    """
    raw = _read(path)
    if "photos" not in raw:
        return parse_config(raw)
    config = _section(PhotoTrainingConfig, raw, "the top level")
    check_photo_config(config)
    return config


def read_config(path: Path) -> TrainingConfig:
    """Read a TOML file about drawings.

    Raises:
        ConfigurationError: the file is missing or no TOML, or a key is unknown, missing or of the
            wrong type. The message names the accepted keys.
    """
    return parse_config(_read(path))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} does not read as TOML: {error}") from error
    return MappingProxyType(raw)


def parse_config(raw: Mapping[str, Any]) -> TrainingConfig:
    """The configuration in a parsed TOML document; errors as `read_config`."""
    return _section(TrainingConfig, raw, "the top level")


def _section(cls: type[_Section], raw: Mapping[str, Any], where: str) -> _Section:
    hints = get_type_hints(cls)
    accepted = ", ".join(hints)
    for problem, keys in (("unknown", raw.keys() - hints), ("missing", hints.keys() - raw.keys())):
        if keys:
            named = ", ".join(sorted(keys))
            raise ConfigurationError(f"{problem} in {where}: {named}. Accepted keys: {accepted}.")
    return cls(**{key: _value(hints[key], raw[key], key) for key in hints})


def _value(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _section(hint, value, f"[{key}]")  # type: ignore[arg-type]  # a class, not an instance
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_value(hint.__args__[0], item, key) for item in value)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            accepted = ", ".join(get_args(hint))
            raise ConfigurationError(f"{key} is {value!r}; accepted: {accepted}.")
        return value
    # TOML writes 1 for 1.0; a bool is an int to Python but not to a reader.
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        wanted = getattr(hint, "__name__", str(hint))
        raise ConfigurationError(f"{key} is {value!r}; it must be {wanted}.")
    return value
