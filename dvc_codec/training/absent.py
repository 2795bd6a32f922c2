"""Packages that a machine for training may lack: PyAV and numba.

Training estimates bits and never writes any, and it may find its pictures ready.
"""

import importlib.util


def present(package: str) -> bool:
    """Whether ``package`` is installed."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
