"""open_clip, imported without torch's compiler: in a third of the time.

torchvision and timm import `torch._dynamo` (and with it sympy and the code generator; 9 of 14 s on
our machine) for one decorator and one check. While they are imported, a stub provides both;
afterwards it is removed, so that code that compiles a model imports the real one.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_NAMES = ("torch._dynamo", "torch._dynamo.utils")


def _disable(
    function: Callable[..., Any] | None = None, *_: object, **__: object
) -> Callable[..., Any]:
    """As `torch._dynamo.disable` without a compiler: the function itself."""
    return function if function is not None else lambda decorated: decorated


@contextmanager
def _without_compiler() -> Iterator[None]:
    if _NAMES[0] in sys.modules:  # imported already
        yield
        return
    package, utils = (ModuleType(name) for name in _NAMES)
    vars(package).update(disable=_disable, utils=utils)
    vars(utils).update(is_compile_supported=lambda _: False)
    sys.modules.update(zip(_NAMES, (package, utils), strict=True))
    try:
        yield
    finally:
        for name in _NAMES:
            sys.modules.pop(name, None)
        vars(torch).pop("_dynamo", None)


with _without_compiler():
    import open_clip

__all__ = ["open_clip"]
