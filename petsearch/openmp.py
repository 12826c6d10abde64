"""How OpenMP threads wait. Imports nothing; call it before torch is imported."""

import os


def wait_passively() -> None:
    """Let idle OpenMP threads sleep instead of spin, unless the environment says otherwise.

    Spinning threads steal the cores that decode photos, and where another process is busy too they
    stall every small operation: on 2 shared cores a text encode took 190 ms spinning, 1.3 ms not.
    libgomp reads the variable when it is loaded, which is when torch is imported (by `datasets`
    too). Entry points call this first.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
