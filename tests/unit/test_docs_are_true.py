"""Paths, modules, make targets and commands that the documents name exist."""

import pkgutil
import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from petsearch.cli.main import LazyCommand, app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "infra").rglob("*.md")]
)
WRITTEN = {"docs/results/mine.json"}
"""Paths that a documented command writes."""
_FOLDERS = "bench|devstack|docs|infra|petsearch|services|tests|training|web"
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`|^ {4}\S.*$", re.MULTILINE | re.DOTALL)
_PATH = re.compile(rf"(?<![\w./:-])(?:{_FOLDERS})/[\w./*-]*\w|(?<![\w./-])[\w./-]+/\w+\.py\b")
_OBJECT = re.compile(r"(?<![\w./-])(?:petsearch|services|training)(?:\.\w+)+(?:\(\))?")
_MODULE = re.compile(rf"python -m ((?:{_FOLDERS})[\w.]*)")
_TARGET = re.compile(r"(?:^|&& )make ([a-z][\w-]*)", re.MULTILINE)
_COMMAND = re.compile(r"(?<![\w./:=-])(?<!-n )petsearch ((?:[a-z]+ ?)+)((?:[^`\n#|\\&]|\\\n)*)")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS]
)


@every_document
def test_paths_exist(document: Path) -> None:
    named = {path for code in _code(document) for path in _PATH.findall(code)} - WRITTEN
    assert not {path for path in named if not any(ROOT.glob(path))}


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    linked = _LINK.findall(document.read_text(encoding="utf-8"))
    assert not [link for link in linked if not (document.parent / link).exists()]


@every_document
def test_modules_and_objects_exist(document: Path) -> None:
    code = "\n".join(_code(document))
    modules = set(_MODULE.findall(code))
    assert not {name for name in modules if not _is_runnable(name)}
    objects = {name.removesuffix("()") for name in _OBJECT.findall(code)} - modules
    for name in objects:
        pkgutil.resolve_name(name)


@every_document
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(_TARGET.findall("\n".join(_code(document)))) <= targets


@every_document
def test_commands_have_the_options_they_are_called_with(document: Path) -> None:
    for words, rest in _COMMAND.findall("\n".join(_code(document))):
        used = set(re.findall(r"(?<!\S)--[a-z][\w-]*", rest))
        assert used <= _options(words.split()), (words, rest)


def test_the_picture_of_the_packages_has_the_layers_that_are_enforced() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [set(layer.split(" | ")) for layer in contracts["contracts"][0]["layers"]]
    picture = re.findall(r"^```$(.*?)^```$", (ROOT / "ARCHITECTURE.md").read_text(), re.M | re.S)[1]
    rows = [re.split(r" {2,}", row)[0].split(" · ") for row in picture.strip().splitlines()]
    assert [{_in_full(name) for name in row} for row in rows] == layers


def _in_full(name: str) -> str:
    return name if name.startswith(("services", "training")) else f"petsearch.{name}"


def _code(document: Path) -> Iterator[str]:
    """What is written as code, without its comments: spans, fenced and indented blocks."""
    for match in _CODE.finditer(document.read_text(encoding="utf-8")):
        yield re.sub(r"(?:^| +)# .*", "", textwrap.dedent(match[0]).strip("`"))


def _is_runnable(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def _options(words: list[str]) -> set[str]:
    """What the command takes that `words` begin with, through groups such as `jobs`."""
    command = get_command(app)
    for word in words:
        if not isinstance(command, TyperGroup):
            break
        assert word in command.commands, f"petsearch {' '.join(words)}"
        command = command.commands[word]
        if isinstance(command, LazyCommand):
            command = command.load()
    return {"--help", *(name for parameter in command.params for name in parameter.opts)}
