"""The project's own frames on the stack: how many hops lead from an entry point to a library."""

import traceback
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_PACKAGES = ("petsearch", "services")


def own_frames() -> list[str]:
    """The frames of this thread that lie in petsearch or services, the outermost first."""
    found = []
    for frame in traceback.extract_stack():
        path = Path(frame.filename)
        if path.is_relative_to(_ROOT) and path.relative_to(_ROOT).parts[0] in _PACKAGES:
            found.append(f"{path.relative_to(_ROOT)}:{frame.name}")
    return found
