"""Hosts and their machines as network namespaces; each can be cut off, and is not told so.

Every machine has an address of its own, as a pod has. Those of a host hang on its bridge, and the
bridges on one between them. A part that is cut off gets no answers and no errors: the others'
tables of neighbours do not forget it, as across routers.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CORE = "core"
_SELF = "10.77.0.1"
"""The address of whoever runs this, outside all hosts."""


class Network:
    """Namespaces in those of this process, which end with it. Leave it by ending the process."""

    def __init__(self) -> None:
        _must_be_alone()
        _run("mount", "-t", "tmpfs", "none", "/run")  # where names of namespaces lie
        self._machines: dict[str, str] = {}
        self._hosts: list[str] = []
        self._links: dict[str, tuple[str, str]] = {}
        """What a machine or a host hangs by: its end of the cable, and the bridge."""
        self._names = Path(tempfile.mkstemp(prefix="hosts-")[1])
        _ip("link", "add", _CORE, "address", _mac(_SELF), "type", "bridge")
        _ip("addr", "add", f"{_SELF}/16", "dev", _CORE)
        for device in (_CORE, "lo"):
            _ip("link", "set", device, "up")
        _run("mount", "--bind", str(self._names), "/etc/hosts")
        self.name({})

    def add_host(self, name: str) -> None:
        """A host without machines."""
        self._hosts.append(name)
        _ip("link", "add", name, "type", "bridge")
        _ip("link", "set", name, "up")
        _ip("link", "add", f"{name}-up", "type", "veth", "peer", "name", f"{name}-in")
        _ip("link", "set", f"{name}-in", "master", name, "up")
        self._plug_in(name, f"{name}-up", _CORE)

    def add(self, name: str, host: str) -> str:
        """A machine on a host; returns its address."""
        on_host = sum(1 for one in self._machines.values() if one.split(".")[2] == host[-1])
        address = f"10.77.{self._hosts.index(host) + 1}.{on_host + 1}"
        _ip("netns", "add", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        self._plug_in(name, name, host)
        _ip("-n", name, "link", "set", "eth0", "address", _mac(address), "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "addr", "add", f"{address}/16", "dev", "eth0")
        self._introduce(name, address)
        self._machines[name] = address
        return address

    def inside(self, machine: str) -> tuple[str, ...]:
        """What a command has to begin with to run on a machine."""
        return ("ip", "netns", "exec", machine)

    def cut(self, name: str) -> None:
        """Let nothing to or from a machine or a host."""
        _ip("link", "set", self._links[name][0], "nomaster")

    def restore(self, name: str) -> None:
        """Join what was cut off."""
        self._plug_in(name, *self._links[name])

    def name(self, names: Mapping[str, list[str]]) -> None:
        """What names stand for, on all machines, from now on."""
        lines = [f"{one} {name}\n" for name, found in names.items() for one in found]
        self._names.write_text("127.0.0.1 localhost\n" + "".join(lines))

    def _plug_in(self, name: str, cable: str, bridge: str) -> None:
        self._links[name] = (cable, bridge)
        _ip("link", "set", cable, "master", bridge, "up")

    def _introduce(self, name: str, address: str) -> None:
        """Tell a machine and the others where they are, for good."""
        at = ("nud", "permanent", "dev")
        _ip("neigh", "replace", address, "lladdr", _mac(address), *at, _CORE)
        for known, other in (*self._machines.items(), ("", _SELF)):
            _ip("-n", name, "neigh", "replace", other, "lladdr", _mac(other), *at, "eth0")
            if known:
                _ip("-n", known, "neigh", "replace", address, "lladdr", _mac(address), *at, "eth0")


def _must_be_alone() -> None:
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    if len(links.stdout.splitlines()) != 1:
        sys.exit("This needs namespaces of its own, and root: run it by its make target.")


def _mac(address: str) -> str:
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
