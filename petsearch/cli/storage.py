"""What commands that look at everything kept work on: a stopped server's folder, or the servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from petsearch.app.services import Storage, open_storage
from petsearch.domain.errors import ConfigurationError
from petsearch.settings import Settings


@contextmanager
def opened_storage(data_dir: Path | None, *, may_be_new: bool = False) -> Iterator[Storage]:
    """What is kept.

    Args:
        data_dir: of a single-process server that is not running; None for what the settings name.
        may_be_new: a data folder is made where there is none.

    Raises:
        ConfigurationError: the folder is in use or no data folder, or an address is missing.
        Unavailable: a server does not answer.
    """
    if data_dir is None:
        settings = Settings.from_environment()
        if not settings.index_url:
            raise ConfigurationError(
                "Say where everything is: --data-dir of a single-process server that is stopped, "
                "or PETSEARCH_INDEX_URL, PETSEARCH_STORE_URL and PETSEARCH_REDIS_URL."
            )
        with open_storage(settings) as storage:
            yield storage
        return
    # Not above: a worker's image has no web server.
    from petsearch.standalone import StandaloneOptions, locked, standalone_settings

    if not may_be_new and not (data_dir / "index").is_dir():
        raise ConfigurationError(f"{data_dir} is no data folder of petsearch.")
    with locked(data_dir):
        settings = standalone_settings(StandaloneOptions(data_dir, model=""))
        with open_storage(settings) as storage:
            yield storage
