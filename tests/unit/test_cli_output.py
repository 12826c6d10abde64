"""What commands print, and how fast the command line is ready."""

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import petsearch
from petsearch.cli.main import COMMANDS, app
from petsearch.cli.output import (
    print_error,
    print_json,
    print_line,
    print_message,
    print_progress,
    print_table,
    print_value,
    progress_bar,
)

HOSTILE = {
    "[/old]": "[/old]",
    "[red]cat[/red].jpg": "[red]cat[/red].jpg",
    "[link=http://x]a": "[link=http://x]a",
    "\\[bold]": "\\[bold]",
    ":cat: {} %s": ":cat: {} %s",
    "\x1b[31mcat\x1b]0;title\x07": r"\x1b[31mcat\x1b]0;title\x07",
    "cat\r\x9b2J\t": r"cat\r\x9b2J\t",
    "cat\udcff.jpg": r"cat\udcff.jpg",
    "cat\u202egpj.exe": r"cat\u202egpj.exe",
    "Écran\u202f中文 🐈.jpg": "Écran\u202f中文 🐈.jpg",
}
"""Names of files, and how a terminal has to show them."""

HEAVY = [
    *("numpy", "httpx", "pydantic", "structlog", "PIL", "rich", "asyncio", "importlib.metadata"),
    *(
        "fastapi",
        "uvicorn",
        "celery",
        "redis",
        "qdrant_client",
        "minio",
        "torch",
        "petsearch.domain",
    ),
]
"""What printing help needs none of, and takes longer to import than everything that it needs."""

PHOTOS = {
    "photos",
    *(f"photos.{name}" for name in ("filter_options", "ids", "listing", "thumbnails")),
}
"""Modules that commands of photos share."""

each_hostile_name = pytest.mark.parametrize(("name", "shown"), HOSTILE.items(), ids=ascii)


def test_the_version_is_printed() -> None:
    answer = CliRunner().invoke(app, ["--version"])
    assert (answer.exit_code, answer.output) == (0, f"{petsearch.__version__}\n")


def test_the_version_takes_at_most_a_third_of_a_second() -> None:
    def processor_s() -> float:
        before = os.times()
        subprocess.run([sys.executable, "-m", "petsearch", "--version"], check=True)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])

    assert min(processor_s() for _ in range(3)) <= 0.3


def test_a_row_is_one_line_in_a_pipe_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    row = ("photo-" * 30, str(uuid.uuid4()))
    print_table(("file", "image_id"), [row])
    assert capsys.readouterr().out.splitlines()[1].split() == [*row]


@each_hostile_name
@pytest.mark.parametrize(
    "print_text", [print_line, print_message, print_progress, print_error], ids=lambda f: f.__name__
)
def test_lines_show_names_as_they_are(
    print_text: Callable[[str], None], name: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_text(f"cannot read {name}")
    printed = capsys.readouterr()
    assert (printed.out + printed.err).removeprefix("Error: ") == f"cannot read {shown}\n"


@each_hostile_name
def test_tables_show_names_as_they_are(
    name: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table(("file", "image_id"), [(name, "1"), (f"a\n{name}", "2")])
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.rsplit(maxsplit=1)[0] for row in rows] == [shown, rf"a\n{shown}"]


@each_hostile_name
def test_progress_bars_show_names_as_they_are(
    name: str, shown: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress_bar() as bar:
        monkeypatch.setattr(bar.console, "width", 200)
        task = bar.add_task(name, total=2)
        bar.update(task, advance=1, note=name)
    assert capsys.readouterr().err.count(shown) == 2


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_json_keeps_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"file": name})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"file": name}
    assert printed.isascii()


def test_every_line_is_json_where_logs_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PETSEARCH_LOG_JSON", "1")
    for print_text in (print_line, print_message, print_progress, print_error):
        print_text("a line\nand \x1b[31mits end")
    print_table(("file", "photos"), [("[/old]", "1"), ("b", "2")])
    print_json({"nested": {"a": [1, 2]}})
    with progress_bar() as bar:
        bar.update(bar.add_task("ingest", total=2), advance=2)
    print_value("for-scripts")
    printed = capsys.readouterr()
    *said, word = printed.out.splitlines()
    assert word == "for-scripts"
    objects = [json.loads(line) for line in (*said, *printed.err.splitlines())]
    assert [one.get("event") for one in objects] == [
        *("result", None, None, None),
        *("message", "progress", "error"),
    ]
    assert objects[0]["text"] == "a line\nand \x1b[31mits end"
    assert objects[1:4] == [
        {"file": "[/old]", "photos": "1"},
        {"file": "b", "photos": "2"},
        {"nested": {"a": [1, 2]}},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["ingest", "{name}"],
        ["ingest", "--dataset", "./{name}"],
        ["ingest", "--archive", "{name}"],
        ["ingest", "--manifest", "{name}"],
        ["ingest", "--urls", "{name}"],
        ["search", "--image", "{name}"],
        ["search", "--like", "{name}"],
        ["search", "cat", "--api", "{name}"],
        ["jobs", "show", "x", "--api", "http://127.0.0.1:1/{name}"],
        ["images", "show", "{name}"],
        ["images", "set", "3f2a", "--clear", "{name}"],
        ["images", "set", "3f2a", "--place", "{name}"],
        ["duplicates", "--api", "{name}"],
        ["facets", "breed", "--api", "http://127.0.0.1:1/{name}"],
        ["evaluate", "--model", "{name}", "--data", "./{name}"],
        ["evaluate", "--model", "sample", "--data", "./{name}"],
        ["finetune", "--config", "{name}", "--out", "out"],
        ["publish", "{name}", "--data-dir", "data"],
        ["backup", "--out", "out", "--data-dir", "{name}"],
        ["restore", "{name}", "--data-dir", "data"],
        ["reconcile", "--data-dir", "{name}"],
        ["demo", "--data-dir", "data", "--source", "{name}"],
        ["{name}"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_errors_of_commands_show_names_as_they_are(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [word.format(name="[/old]") for word in arguments])
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit)
    assert "[/old]" in done.stderr


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        ("--help", set()),
        ("--version", set()),
        (
            "search --help",
            {"connection", "output", "photos.search", *PHOTOS},
        ),
        (
            "images --help",
            {"connection", "output", "photos.images", "photos.image_changes", *PHOTOS},
        ),
        ("serve --help", {"serve", "output"}),
    ],
)
def test_help_imports_no_more_than_it_prints(words: str, modules: set[str]) -> None:
    loaded = [f"petsearch.cli.{name}" for name in modules]
    code = f"""
import sys
from petsearch.cli.main import main
sys.argv[1:] = {words.split()}
try:
    main()
finally:
    heavy = set({HEAVY}) & sys.modules.keys()
    commands = {{name for name in sys.modules if name.startswith("petsearch.cli.")}}
    assert not heavy and commands == {{"petsearch.cli.main", *{loaded}}}, (heavy, commands)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if words == "--help":
        _, _, listed = done.stdout.partition("Commands:")
        assert re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE) == [*COMMANDS]


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("petsearch fac", ["facets"]),
        ("petsearch images s", ["show", "set"]),
        ("petsearch search --ne", ["--near"]),
        ("petsearch images delete --y", ["--yes"]),
    ],
)
def test_a_shell_completes_commands_and_options(words: str, completed: list[str]) -> None:
    count = str(len(words.split()) - 1)
    asked = {"_PETSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": count}
    done = CliRunner().invoke(app, env=asked, prog_name="petsearch")
    assert done.output.split() == completed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert f"Usage: root {name}" in done.output


def test_a_library_that_is_not_installed_is_named_with_its_extra() -> None:
    code = """
import sys
sys.modules["torch"] = None
from petsearch.cli.main import main
sys.argv[1:] = ["evaluate", "--model", "sample", "--data", "drawings"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Error: This command needs torch: pip install 'petsearch[training]'\n"


@pytest.mark.parametrize(
    "words",
    [
        ["serve"],
        ["demo"],
        ["keys", "list"],
        ["backup", "--out", "x"],
        ["reconcile"],
        ["publish", "x"],
    ],
)
def test_an_empty_data_folder_is_not_the_current_one(words: list[str]) -> None:
    done = CliRunner().invoke(app, [*words, "--data-dir", ""])
    assert done.exit_code == 2
    assert "it is empty; give the path of a folder" in done.output
