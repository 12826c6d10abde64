"""The commands `petsearch backup` and `petsearch restore`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from petsearch.app.connections import open_place
from petsearch.cli.output import EXIT_PARTLY, Json, print_json, print_message
from petsearch.cli.storage import DataDir, opened_storage
from petsearch.domain.errors import ConfigurationError, StorageFull
from petsearch.maintenance import Backup, Restore
from petsearch.maintenance.backup_format import MANIFEST
from petsearch.models import model_id_of


def backup(
    *,
    out: Annotated[
        str, typer.Option(help="A new folder, or s3+http://<host>:<port>/<bucket>/<prefix>.")
    ],
    objects: Annotated[
        bool, typer.Option("--objects", help="Copy the photos as well, not only their list.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Back up the index, jobs, keys and the list of objects, with a checksum of every part."""
    with opened_storage(data_dir) as storage:
        place = open_place(storage.settings, out)
        backup = Backup(storage.kept, place, clock=storage.clock, say=print_message)
        try:
            manifest = backup.run(with_objects=objects)
        except StorageFull as error:
            raise StorageFull(
                f"The backup is not whole: there is no room in {out}. Free some, and run the same "
                "command again."
            ) from error
    if as_json:
        print_json(asdict(manifest))
        return
    print_message(f"The backup is complete: {manifest.points} photos, in {out}.")
    if not objects:
        print_message("It does not hold the photos: back up the object store, or use --objects.")


def restore(
    *,
    place: Annotated[str, typer.Argument(help="What `petsearch backup --out` was given.")],
    into_existing: Annotated[
        bool, typer.Option("--into-existing", help="Restore even if there are photos or jobs.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check a backup and restore it. After an interruption, the same command continues."""
    if "://" not in place and not (Path(place) / MANIFEST).is_file():
        raise ConfigurationError(f"There is no complete backup in {place}: it has no {MANIFEST}.")
    with opened_storage(data_dir, may_be_new=True) as storage:
        source = open_place(storage.settings, place)
        restored = Restore(storage.kept, source, say=print_message).run(into_existing=into_existing)
    manifest, missing = restored.manifest, restored.objects_missing
    if as_json:
        print_json(asdict(manifest) | {"objects_missing": missing})
    elif manifest.collection is not None:
        model_id = model_id_of(manifest.collection)
        print_message(f"The photos are indexed with the model {model_id}: serve that one.")
    if missing:
        print_message(
            f"{missing} of {manifest.objects} objects are missing: restore the object store, too. "
            "Until then do not run `petsearch reconcile --fix`: it deletes images without original."
        )
        raise typer.Exit(EXIT_PARTLY)
    if not as_json:
        print_message(
            "Everything is restored. In an hour `petsearch reconcile` tells what is missing."
        )
