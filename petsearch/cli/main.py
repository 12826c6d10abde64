"""The command `petsearch`. A command's module is imported when the command runs, so that
`petsearch --help` starts fast and a client needs none of the server's libraries.
"""

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
    "search": ("search:search", "Search by text or by photo."),
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
            function, target = target, typer.Typer(add_completion=False)
            target.command()(function)
        return get_command(target)

    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        """The context of the imported command."""
        return self.load().make_context(*arguments, **extra)


class _Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: LazyCommand(name, *entry) for name, entry in COMMANDS.items()}

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error of petsearch is one line on stderr and exit code 1."""
        from petsearch.cli.output import EXIT_ERROR, print_error
        from petsearch.domain.errors import PetsearchError

        try:
            return super().invoke(ctx)
        except PetsearchError as error:
            print_error(error.detail)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] in _OWN_PACKAGES:
                raise
            extra = "training" if ctx.invoked_subcommand in _TRAINING else "standalone"
            print_error(f"This command needs {error.name}: pip install 'petsearch[{extra}]'")
        raise typer.Exit(EXIT_ERROR)


app = typer.Typer(
    cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
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
    from petsearch.cli.output import log_to_stderr

    log_to_stderr("WARNING")
