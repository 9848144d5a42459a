"""The versions of what a plugin imports from elsewhere."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Iterable
from contextlib import suppress

# Known by their versions alone, also where they are edited: each trial's environment has these.
ALWAYS_RELEASED = ("torch", "torchvision", "numpy")


def is_released(module: str) -> bool:
    """Whether a version tells the states of a top-level module apart.

    It does not where the module has no distribution, or one that is edited where it lies.
    """
    if module in ALWAYS_RELEASED:
        return True
    distribution = _distribution(module)
    return distribution is not None and not _is_editable(distribution)


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """The version of each top-level module's distribution, by the distribution's name."""
    found = filter(None, map(_distribution, modules))
    return {each.name: each.version for each in sorted(found, key=lambda each: each.name)}


@functools.cache
def _distribution(module: str) -> importlib.metadata.Distribution | None:
    # Most have their module's name, and to look through all of them takes long.
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.distribution(module)
    names = _distributions_by_module().get(module, ())
    return next(map(importlib.metadata.distribution, names), None)


@functools.cache
def _distributions_by_module() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _is_editable(distribution: importlib.metadata.Distribution) -> bool:
    text = distribution.read_text("direct_url.json")
    return bool(text and json.loads(text).get("dir_info", {}).get("editable"))
