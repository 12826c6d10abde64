"""Where models come from: a hub's tag, an open_clip folder, or the bundled sample.

open_clip is imported only for a hub's tag, so that a wrong address fails at once.
"""

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from petsearch.domain.errors import ConfigurationError, unknown_choice
from petsearch.models.folder import CALIBRATION, CONFIG, LABELS, WEIGHTS
from petsearch.models.hub import cached_if_unreachable
from petsearch.models.open_clip_config import check_config
from petsearch.sample.catalogue import MODEL_DIR


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from, resolved to what open_clip takes."""

    spec: str
    name: str
    architecture: str
    pretrained: str | None
    hashed_files: tuple[Path, ...]
    labels_file: Path | None
    calibration_file: Path | None = None
    quick_gelu: bool = False
    """The tag's weights were trained with QuickGELU though the architecture names none: open_clip
    would load them with a warning and score worse."""

    def model_id(self) -> str:
        """The name and the first 12 hex digits of SHA-256 over weights and configuration."""
        digest = hashlib.sha256()
        for path in self.hashed_files:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return f"{self.name}-{digest.hexdigest()[:12]}"


def resolve_model(spec: str) -> ModelSource:
    """Resolve `hub:<arch>/<tag>`, `dir:<open_clip local-dir>` or `sample`; a hub's is downloaded.

    Raises:
        ConfigurationError: there is no such model, or the hub cannot be reached.
    """
    kind, _, rest = spec.partition(":")
    if spec == "sample":
        return _folder_source(spec, MODEL_DIR, name="sample")
    if kind == "dir" and rest:
        try:
            path = Path(rest).expanduser().resolve()
            return _folder_source(f"dir:{path}", path, name=path.name)
        except (OSError, RuntimeError, ValueError) as error:  # no home, too long, a zero byte
            raise ConfigurationError(f"{rest!r} is no folder to read: {error}") from error
    if kind == "hub" and rest:
        return _hub_source(spec, rest)
    raise ConfigurationError(
        f"PETSEARCH_MODEL (--model) is {spec!r}. "
        "Give hub:<arch>/<tag> (hub:ViT-B-32/laion2b_s34b_b79k), dir:<open_clip folder>, "
        "s3:<model_id> of a published model, or sample."
    )


def published_source(path: Path, model_id: str) -> ModelSource:
    """A published model that lies in a folder on this machine.

    Raises:
        ConfigurationError: the folder holds another model, or none.
    """
    source = _folder_source(f"s3:{model_id}", path, name=model_id.rpartition("-")[0])
    if source.model_id() != model_id:
        raise ConfigurationError(f"{path} does not hold {model_id} but {source.model_id()}.")
    return source


def _folder_source(spec: str, path: Path, *, name: str) -> ModelSource:
    for needed in (CONFIG, WEIGHTS):
        if not _is_file(path / needed):
            raise ConfigurationError(
                f"{path} is no open_clip model folder: {needed} is missing. "
                "A model folder holds open_clip_config.json and open_clip_model.safetensors."
            )
    check_config(path / CONFIG)
    labels, calibration = path / LABELS, path / CALIBRATION
    return ModelSource(
        spec=spec,
        name=name,
        architecture=f"local-dir:{path}",
        pretrained=None,
        hashed_files=(path / WEIGHTS, path / CONFIG),
        labels_file=labels if labels.is_file() else None,
        calibration_file=calibration if calibration.is_file() else None,
    )


def _is_file(path: Path) -> bool:
    """Whether it is one; raises `OSError` if that cannot be told, as `Path.is_file` did once."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _hub_source(spec: str, rest: str) -> ModelSource:
    from petsearch.adapters.clip.library import open_clip

    architecture, _, tag = rest.partition("/")
    known = open_clip.list_models()
    if architecture not in known:
        raise _choice_error("model architecture", architecture, known)
    tags = open_clip.pretrained.list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        raise _choice_error(f"pretrained tag of {architecture}", tag, tags)
    config = open_clip.pretrained.get_pretrained_cfg(architecture, tag)
    with cached_if_unreachable() as is_reachable:
        try:
            weights = open_clip.pretrained.download_pretrained(config)
        except Exception as error:  # the hub client's own tree is wide: HTTP, DNS, TLS, disk
            raise ConfigurationError(
                f"The weights of {spec} cannot be fetched: "
                f"{error if is_reachable else 'the model hub does not answer'}. "
                "Check the network, fetch them once on a machine that has one and copy its cache "
                "(HF_HOME), or use --model dir:<folder> or --model sample."
            ) from error
    return ModelSource(
        spec=spec,
        name=f"{architecture}-{tag}",
        architecture=architecture,
        pretrained=tag,
        hashed_files=(Path(weights),),
        labels_file=None,
        quick_gelu=bool(config.get("quick_gelu")),
    )


def _choice_error(what: str, given: str, accepted: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(unknown_choice(what, given, accepted).detail)
