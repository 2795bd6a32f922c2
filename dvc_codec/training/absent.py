"""Packages that a machine for training may lack: the range coder's and the video library's.

Training estimates bits and never writes any, and it may find its pictures ready. But the modules it
shares with the encoder name these packages at their head.
"""

import importlib.util
import sys
from types import ModuleType
from typing import Any


def stand_in_for(*packages: str) -> None:
    """Where a package is absent, let it be imported, and fail when something of it is called."""
    for name in packages:
        if name not in sys.modules and not present(name):
            sys.modules[name] = _Absent(name)


def present(package: str) -> bool:
    """Whether ``package`` is installed, and not stood in for."""
    if package in sys.modules:
        return not isinstance(sys.modules[package], _Absent)
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


class _Absent(ModuleType):
    """Has every attribute; each is as absent as itself."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself asks of modules
            raise AttributeError(name)
        return _Absent(f"{self.__name__}.{name}")

    def __call__(self, *_: object, **__: object) -> Any:
        package = self.__name__.split(".", 1)[0]
        raise ImportError(f"{self.__name__} is needed here: pip install {package}")
