"""The command `petsearch`. A command's module is imported when the command runs, so that
`petsearch --help` starts fast and a client needs none of the server's libraries.
"""

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import petsearch
from petsearch.process_tuning import tune_process

COMMANDS = {
    "serve": ("serve:serve", "Serve API, page, worker, model and index from one process."),
    "demo": ("demo:demo", "Serve a demo with drawings, Oxford pets or your photos."),
    "init": ("init:init", "Create the bucket and the first collection if they are missing."),
    "ingest": ("ingest:ingest", "Add photos and wait until all are processed."),
    "search": ("photos.search:search", "Search by text or by photo."),
    "images": ("photos.images:app", "List, show, change and delete photos."),
    "duplicates": ("photos.duplicates:duplicates", "List photos that are alike, in groups."),
    "facets": ("photos.facets:facets", "Count photos by breed, species, status, tag or attribute."),
    "evaluate": ("evaluate:evaluate", "Measure a model on labelled photos."),
    "reconcile": ("reconcile:reconcile", "Find and repair differences of index and object store."),
    "backup": ("backup:backup", "Back up the index, jobs, keys and the list of objects."),
    "restore": ("backup:restore", "Check a backup and restore it."),
    "finetune": ("finetune:finetune", "Fine-tune a model on labelled photos."),
    "publish": ("publish:publish", "Check a model folder and add it to the registry."),
    "models": ("models:models", "List the models of a server."),
    "reindex": ("models:reindex", "Build the collection of a published model."),
    "promote": ("models:promote", "Make a model with a finished collection the current one."),
    "rollback": ("models:rollback", "Make the model before the last promotion current again."),
    "jobs": ("jobs:app", "List, watch and control jobs."),
    "keys": ("keys:app", "Create, list and revoke API keys."),
}
"""Name of a command: where it is defined, and its line in `petsearch --help`."""

_TRAINING = ("evaluate", "finetune", "publish")
_OWN_PACKAGES = ("petsearch", "services", "training")


class LazyCommand(TyperCommand):
    """Stands for a command in `petsearch --help`; imports the command when it is called."""

    def __init__(self, name: str, target: str, help: str) -> None:
        super().__init__(name, help=help)
        self._target = target

    def load(self) -> Any:
        """Import the command."""
        module, _, attribute = self._target.partition(":")
        target = getattr(import_module(f"petsearch.cli.{module}"), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False, rich_markup_mode=None)
            target.command()(function)
        return get_command(target)

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """The context of the imported command; `--help` ends here, before settings are read."""
        context = self.load().make_context(*arguments, **extra)
        if not extra.get("resilient_parsing"):  # a shell completes words
            from petsearch.settings import start_logging

            # A server logs what it does; other commands only what goes wrong.
            start_logging(None if self.name == "serve" else "WARNING")
        return context


class _Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: LazyCommand(name, *entry) for name, entry in COMMANDS.items()}

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error of petsearch or of a file is one line on stderr, exit code 1."""
        try:
            return super().invoke(ctx)
        except typer.Exit:  # of --help, too, which needs nothing of what follows
            raise
        except Exception as error:  # the edge of the program: what is not ours goes on
            detail = _detail_of(error, ctx.invoked_subcommand)
            if detail is None:
                raise
        from petsearch.cli.output import EXIT_ERROR, print_error

        print_error(detail)
        _give_up_output()
        raise typer.Exit(EXIT_ERROR)


def _give_up_output() -> None:
    """Point stdout at nothing if it cannot be written: some Pythons try again at exit, and end with
    120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _detail_of(error: Exception, command: str | None) -> str | None:
    if isinstance(error, ModuleNotFoundError):
        if str(error.name).partition(".")[0] in _OWN_PACKAGES:
            return None
        extra = "training" if command in _TRAINING else "standalone"
        return f"This command needs {error.name}: pip install 'petsearch[{extra}]'"
    if isinstance(error, BrokenPipeError):  # as of `| head`: typer ends without a word
        return None
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if isinstance(error, UnicodeEncodeError) and error.encoding == "utf-8":
        # Bytes of an argument that are no UTF-8 cannot be sent; a quote is that of the JSON.
        said = error.object[: error.end].rpartition('"')[2]
        return f"{said!r} must be text in valid Unicode."
    from petsearch.domain.errors import PetsearchError

    return error.detail if isinstance(error, PetsearchError) else None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # importing what draws boxes around help takes longer than all the rest
)


def main() -> None:
    """Run the command line."""
    tune_process()
    app()


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(petsearch.__version__)
        raise typer.Exit


@app.callback()
def before_each_command(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Search pet photos by text or by photo."""
