"""The api and worker images hold no torch: their entry points must import without it."""

import subprocess
import sys

import pytest

_BLOCK = """
import sys
for name in ("torch", "torchvision", "open_clip", "timm"):
    sys.modules[name] = None  # importing it now raises ImportError
import {module}
assert callable({module}.create_app)
"""


@pytest.mark.parametrize("module", ["services.api.main", "services.worker.main"])
def test_entry_point_imports_with_torch_blocked(module: str) -> None:
    subprocess.run([sys.executable, "-c", _BLOCK.format(module=module)], check=True, timeout=60)
