"""The plugins as their files are now, in a process that may have loaded them before."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.catalog.identity import core_identity, core_on_disk
from benchmark.catalog.plugin import Plugin
from benchmark.catalog.shelves import Catalog, load_catalog
from benchmark.catalog.source import Source
from benchmark.errors import PluginError

# Of each installed plugin by its module's name, as it was when this process loaded it first; and
# the digests of what plugins' files import from elsewhere.
_first_sources: dict[str, Source] = {}
_first_digests: dict[str, str] = {}


def load_current_catalog(selection: tuple[str, ...]) -> Catalog:
    """Find the plugins and load their files anew; raises PluginError as ``load_catalog`` does.

    What is installed stays as it was when it was first imported: see ``require_unchanged``.
    """
    core_identity()
    load_catalog.cache_clear()
    catalog = load_catalog(selection)
    for plugin in catalog.plugins:
        if _is_installed(plugin) and _module_name(plugin) not in _first_sources:
            _first_sources[_module_name(plugin)] = plugin.source
        if plugin.status == "loaded":
            _first_digests.update({**plugin.source.elsewhere, **_first_digests})
    return catalog


def require_unchanged(plugins: Iterable[Plugin]) -> None:
    """Raise PluginError for the core or an installed plugin that was edited since it was imported.

    Python would train what it imported, and the record would name what is on the disk.
    """
    changed = [plugin.label for plugin in plugins if _has_changed(plugin)]
    if core_identity() != core_on_disk():
        changed.insert(0, "benchmark")
    if changed:
        names = ", ".join(dict.fromkeys(changed))
        raise PluginError(
            "changed on the disk since this process imported it, or what it imports: "
            f"{names}; restart Python"
        )


def _has_changed(plugin: Plugin) -> bool:
    first = _first_sources.get(_module_name(plugin)) if _is_installed(plugin) else None
    if first is not None and first != plugin.source:
        return True
    elsewhere = plugin.source.elsewhere.items()
    return any(_first_digests.get(name, digest) != digest for name, digest in elsewhere)


def _is_installed(plugin: Plugin) -> bool:
    is_loaded = plugin.status == "loaded" and getattr(plugin.module, "__file__", None) is not None
    return is_loaded and plugin.file is None


def _module_name(plugin: Plugin) -> str:
    assert plugin.module is not None
    return plugin.module.__name__
