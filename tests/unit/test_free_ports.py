"""Ports for servers that are started a moment later."""

import sys
from pathlib import Path

import pytest

from devstack.addresses import free_port


@pytest.mark.skipif(sys.platform != "linux", reason="the range is Linux's")
def test_no_outgoing_connection_takes_a_free_port() -> None:
    told = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    assert max(free_port() for _ in range(50)) < int(told.split()[0])


def test_no_port_is_given_twice_in_a_row() -> None:
    # By chance, of so many of 12,768 some would be the same.
    assert len({free_port() for _ in range(900)}) == 900
