"""What is installed, whose code a version tells apart."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import sysconfig
from pathlib import Path

from benchmark.hookspecs import PROJECT


@functools.cache
def is_installed(top_level: str) -> bool:
    """Whether a module is the standard library's, or of a distribution."""
    file = getattr(sys.modules.get(top_level), "__file__", None)
    is_known = top_level in sys.stdlib_module_names or top_level == PROJECT
    if is_known or (file and is_in_installation(file)):
        return True
    return top_level in importlib.metadata.packages_distributions()


@functools.cache
def is_in_installation(file: str) -> bool:
    """Whether a file lies where the standard library or packages are installed."""
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [Path(sysconfig.get_path(kind)).resolve() for kind in kinds]
    return any(Path(file).resolve().is_relative_to(folder) for folder in folders)
