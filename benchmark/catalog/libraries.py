"""The versions of what a plugin imports from elsewhere."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from benchmark.catalog.code_digest import code_digest
from benchmark.catalog.source import folder_digest

SHORT_DIGEST = 8


def library_versions(modules: Iterable[str]) -> dict[str, str]:
    """The version of each top-level module's distribution, by the distribution's name.

    One that is installed from a folder in which it is edited, and a module that no distribution
    has, also get a digest of their source, because no version tells their states apart. What is
    not installed is left out: a plugin may do without it.
    """
    found = [version for module in modules if (version := _version(module)) is not None]
    return dict(sorted(found))


@functools.cache
def _version(module: str) -> tuple[str, str] | None:
    distribution = _distribution(module)
    if distribution is None:
        source = _source(module)
        return None if source is None else (module, source)
    if not _is_editable(distribution):
        return distribution.name, distribution.version
    return distribution.name, f"{distribution.version}, {_source(module)}"


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


def _source(module: str) -> str | None:
    """A digest of a module's Python files, None where it is not installed."""
    spec = None
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
    if spec is None:
        return None
    folders = [*(spec.submodule_search_locations or ())]
    if folders:
        digest = folder_digest(Path(folders[0]))
    elif spec.has_location and spec.origin and Path(spec.origin).is_file():
        digest = code_digest(Path(spec.origin).read_bytes())
    else:
        return None
    return f"source {digest[:SHORT_DIGEST]}"
