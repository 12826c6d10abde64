"""The commands `petsearch backup` and `petsearch restore`."""

from dataclasses import asdict
from pathlib import Path

from petsearch.app.connections import open_place
from petsearch.cli.output import print_json, say
from petsearch.cli.storage import opened_storage
from petsearch.domain.errors import ConfigurationError
from petsearch.maintenance import Backup, Manifest, Restore
from petsearch.maintenance.backup_format import MANIFEST
from petsearch.models import model_id_of


def backup(out: str, data_dir: Path | None, *, with_objects: bool, as_json: bool) -> None:
    """Write a backup to `out`. See `Backup.run` for what it raises."""
    with opened_storage(data_dir) as storage:
        place = open_place(storage.settings, out)
        manifest = Backup(storage.kept, place, clock=storage.clock, say=say).run(
            with_objects=with_objects
        )
    if as_json:
        print_json(_as_json(manifest))
        return
    say(f"The backup is whole: {manifest.points} photos, in {out}.")
    if not with_objects:
        say("The photos themselves are not in it: back up the object store too, or use --objects.")


def restore(address: str, data_dir: Path | None, *, into_existing: bool, as_json: bool) -> None:
    """Restore what lies at `address`. See `Restore.run` for what it raises."""
    if "://" not in address and not (Path(address) / MANIFEST).is_file():
        raise ConfigurationError(f"There is no whole backup in {address}: it has no {MANIFEST}.")
    with opened_storage(data_dir, may_be_new=True) as storage:
        place = open_place(storage.settings, address)
        manifest = Restore(storage.kept, place, say=say).run(into_existing=into_existing)
    if as_json:
        print_json(_as_json(manifest))
        return
    if manifest.collection is not None:
        say(f"The photos want the model {model_id_of(manifest.collection)}: let it be served.")
    say("Everything is restored. `petsearch reconcile` says whether something is missing.")


def _as_json(manifest: Manifest) -> dict[str, object]:
    return {**asdict(manifest), "created_at": manifest.created_at.isoformat()}
