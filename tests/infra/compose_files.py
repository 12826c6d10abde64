"""The compose files as compose reads them: variables filled, overrides merged."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
BASE = "docker-compose.yml"
OVERRIDES = (
    "docker-compose.gpu.yml",
    "docker-compose.prod.yml",
    "docker-compose.cluster.yml",
    "docker-compose.accounts.yml",
)
OURS = ("api", "worker", "embedder")

VARIABLE = re.compile(
    r"(?<!\$)\$\{(?P<name>[A-Z0-9_]+)(?::-(?P<default>[^}]*)|:\?(?P<wanted>[^}]*))\}"
)
_REPLACED = {"command", "entrypoint", "test"}
"""Lists that an override replaces; it adds to all others."""


class _Override:
    """`!override`: what is merged is replaced by this."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Reset:
    """`!reset`: what is merged goes away."""


class _Loader(yaml.SafeLoader):
    """YAML with compose's own tags."""


def _override(loader: yaml.SafeLoader, node: yaml.Node) -> _Override:
    if isinstance(node, yaml.SequenceNode):
        return _Override(loader.construct_sequence(node, deep=True))
    assert isinstance(node, yaml.MappingNode)
    return _Override(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("!override", _override)
_Loader.add_constructor("!reset", lambda *_: _Reset())


def raw(name: str) -> dict[str, Any]:
    """One file, as it is written."""
    loaded: dict[str, Any] = yaml.load((ROOT / name).read_text(), _Loader)
    return loaded


def filled(node: Any, **given: str) -> Any:
    """What compose makes of a file: variables replaced, `$$` undoubled.

    Args:
        given: values of variables; one that has no default must be among them.
    """
    if isinstance(node, dict):
        return {key: filled(value, **given) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, **given) for value in node]
    if not isinstance(node, str):
        return node

    def value_of(found: re.Match[str]) -> str:
        value = given.get(found["name"]) or found["default"]
        assert value is not None, f"{found['name']} is wanted: {found['wanted']}"
        return value

    return VARIABLE.sub(value_of, node).replace("$$", "$")


def merged(*names: str) -> dict[str, Any]:
    """Several files as one, variables not yet replaced."""
    whole: Any = {}
    for name in names:
        whole = _merge(whole, raw(name), "")
    result: dict[str, Any] = whole
    return result


def _merge(below: Any, above: Any, key: str) -> Any:
    if isinstance(above, _Override):
        return above.value
    if isinstance(below, dict) and isinstance(above, dict):
        both = below | {
            name: _merge(below[name], value, name) if name in below else _plain(value)
            for name, value in above.items()
        }
        return {name: value for name, value in both.items() if not isinstance(value, _Reset)}
    if isinstance(below, list) and isinstance(above, list) and key not in _REPLACED:
        if key == "volumes":
            return list({_target(volume): volume for volume in [*below, *above]}.values())
        return below + [entry for entry in above if entry not in below]
    return _plain(above)


def _plain(node: Any) -> Any:
    if isinstance(node, _Override):
        return node.value
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items() if not isinstance(value, _Reset)}
    return node


def _target(volume: str) -> str:
    return volume.split(":")[1]


def builders(services: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The services that build each image of ours."""
    found: dict[str, list[str]] = {}
    for name, service in services.items():
        if service["image"].startswith("petsearch-"):
            found.setdefault(service["image"], []).extend([name] if "build" in service else [])
    return found


def variables(name: str) -> dict[str, set[str | None]]:
    """The defaults of every variable that a file uses; None where it insists on a value."""
    used: dict[str, set[str | None]] = {}
    text = (ROOT / name).read_text()
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for found in VARIABLE.finditer("\n".join(lines)):
        used.setdefault(found["name"], set()).add(found["default"])
    return used


def seconds(duration: str) -> int:
    """`90s` or `2m` in seconds."""
    number, unit = int(duration[:-1]), duration[-1]
    return number * {"s": 1, "m": 60}[unit]


WEB = "infra/proxy/Dockerfile"


def image(service: str) -> list[list[str]]:
    """The instructions that make the image of a service, those of its last stage last."""
    return dockerfile(WEB) if service == "web" else _stages(service)


def _stages(target: str) -> list[list[str]]:
    """The instructions of a stage and of all that it is made from."""
    found: dict[str, list[list[str]]] = {}
    for words in dockerfile("Dockerfile"):
        name = words[-1] if words[0] == "FROM" else next(reversed(found), "")
        found.setdefault(name, []).append(words)
    wanted = [target]
    for name in wanted:
        text = " ".join(word for words in found[name] for word in words)
        used = re.findall(r"(?:^FROM |--from=|,from=)([\w-]+)", text)
        wanted += [stage for stage in used if stage in found and stage not in wanted]
    return [words for name in [*reversed(wanted)] for words in found[name]]


def dockerfile(path: str) -> list[list[str]]:
    """The instructions of a Dockerfile, each as its words."""
    lines = (line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#"))
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    return [line.split() for line in text.splitlines() if line.strip()]
