"""Prints how the product's code is laid out: `make house`.

Per package its modules, lines and public names; then the lengths of functions, the number of
statements and the share of public names with docstrings, with the limits that hold for them.
"""

import ast
import functools
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

ROOT = Path(__file__).parents[2]
MOST_MODULES = 20
"""In a package of petsearch, services or training."""
MOST_ROOT_MODULES = 8
"""Directly in petsearch."""
MOST_STATEMENTS = 15_600
MOST_LINES = {"median": 7, "90th percentile": 18, "longest": 60}
"""Of a function, without its docstring."""
LEAST_DOCUMENTED = 0.9
"""Of modules, public classes, functions and methods."""
_TREES = ("petsearch", "services", "training")


@dataclass(frozen=True)
class Package:
    """A folder of modules."""

    name: str
    modules: int
    """Without `__init__`, and without those of packages inside."""
    lines: int
    public_names: tuple[str, ...]
    """What its `__init__` exports."""

    @property
    def most_modules(self) -> int:
        """How many modules it may have."""
        return MOST_ROOT_MODULES if self.name == "petsearch" else MOST_MODULES


def packages() -> list[Package]:
    """The packages of petsearch, services and training."""
    found = (init.parent for tree in _TREES for init in sorted((ROOT / tree).rglob("__init__.py")))
    return [_package(folder) for folder in found]


def _package(folder: Path) -> Package:
    modules = [file for file in folder.glob("*.py") if file.name != "__init__.py"]
    return Package(
        ".".join(folder.relative_to(ROOT).parts),
        len(modules),
        sum(len(file.read_text().splitlines()) for file in folder.glob("*.py")),
        _exported(ast.parse((folder / "__init__.py").read_text())),
    )


def _exported(tree: ast.Module) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return tuple(names)
    return ()


@dataclass(frozen=True)
class Function:
    """A function or method of the product."""

    place: str
    lines: int
    """Without the docstring."""


def product_files() -> list[Path]:
    """The files of the product's code, devstack among it."""
    return [file for tree in (*_TREES, "devstack") for file in sorted((ROOT / tree).rglob("*.py"))]


@functools.cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@functools.cache
def functions() -> list[Function]:
    """Every function of the product."""
    return [found for file in product_files() for found in _functions_of(file)]


def _functions_of(file: Path) -> Iterator[Function]:
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            if _is_docstring(node.body[0]):
                assert node.body[0].end_lineno is not None
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            yield Function(f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", lines)


def statements() -> int:
    """The number of statements of the product, without docstrings."""
    trees = map(_parsed, product_files())
    return sum(
        isinstance(node, ast.stmt) and not _is_docstring(node)
        for tree in trees
        for node in ast.walk(tree)
    )


def documented() -> float:
    """The share of modules, public classes, functions and methods that have a docstring."""
    trees = [_parsed(file) for file in product_files()]
    nodes = [node for tree in trees for node in (tree, *_public_names(tree))]
    return sum(ast.get_docstring(node) is not None for node in nodes) / len(nodes)


def _public_names(
    node: ast.Module | ast.ClassDef,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for found in node.body:
        if isinstance(found, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if found.name.startswith("_"):
                continue
            yield found
            if isinstance(found, ast.ClassDef):
                yield from _public_names(found)


def _is_docstring(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def lengths() -> dict[str, float]:
    """The lengths of functions, by the names of their limits."""
    lines = sorted(function.lines for function in functions())
    return {
        "median": statistics.median(lines),
        "90th percentile": lines[int(0.9 * len(lines))],
        "longest": lines[-1],
    }


def main() -> None:
    """Print the layout; the exit code is 1 if a limit is exceeded."""
    exceeded = False
    typer.echo(f"{'package':32} {'modules':>7} {'lines':>6}  public names")
    for package in packages():
        exceeded |= package.modules > package.most_modules
        row = f"{package.name:32} {package.modules:7} {package.lines:6}"
        typer.echo(f"{row}  {', '.join(package.public_names)}")
    typer.echo()
    for name, found in {**lengths(), "statements": statements()}.items():
        limit = {**MOST_LINES, "statements": MOST_STATEMENTS}[name]
        exceeded |= found > limit
        typer.echo(
            f"{name:16} {found:8,g}  at most {limit:,}{'' if found <= limit else '  EXCEEDED'}"
        )
    share = documented()
    exceeded |= share < LEAST_DOCUMENTED
    typer.echo(f"{'docstrings':16} {share:8.1%}  at least {LEAST_DOCUMENTED:.0%}")
    for function in sorted(functions(), key=lambda function: -function.lines)[:5]:
        typer.echo(f"{function.lines:16}  {function.place}")
    sys.exit(exceeded)


if __name__ == "__main__":
    main()
