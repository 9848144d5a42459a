"""What tells the code of an entry from its next version: its identity.

It is a digest of the source that the entry's plugin consists of and of the data files that the
entry names; of the version that its author gave it, where there is one, in place of the source; and
of the distribution's version where no source can be read. A variant's is of its options, too.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.catalog.libraries import library_versions
from benchmark.catalog.plugin import Plugin
from benchmark.catalog.source import folder_digest
from benchmark.entries import Entry, ModelEntry
from benchmark.errors import PluginError, system_fault
from benchmark.plain_data import canonical_json
from benchmark.protocol import IDENTITY_LENGTH
from benchmark.specs import Origin

CORE = Path(__file__).parents[1]


def code_identity(entry: Entry, plugin: Plugin) -> str:
    """The identity of an entry, whatever its options.

    Raises PluginError where a file that the entry names cannot be read.
    """
    return _digest({"entry": entry.name, **_code(entry, plugin)})


def variant_identity(entry: ModelEntry, plugin: Plugin, options: Mapping[str, Any]) -> str:
    """The identity of a model with all of its options, also those that have their defaults.

    Raises PluginError as ``code_identity`` does.
    """
    return _digest({"entry": entry.name, "options": dict(options), **_code(entry, plugin)})


def plugin_origin(plugin: Plugin) -> Origin:
    """Where a plugin's entries come from, with the versions of what it imports from elsewhere."""
    return Origin(
        plugin=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        source=plugin.source.digest,
        libraries=library_versions(plugin.source.libraries),
    )


@functools.cache
def core_identity() -> str:
    """That of the core that this process runs, whatever becomes of its files meanwhile."""
    return core_on_disk()


def core_on_disk() -> str:
    """The identity of the core as its files are now."""
    return folder_digest(CORE)[:IDENTITY_LENGTH]


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts)).hexdigest()[:IDENTITY_LENGTH]


def _code(entry: Entry, plugin: Plugin) -> dict[str, Any]:
    files = dict(_file_digests(entry, plugin)) if isinstance(entry, ModelEntry) else {}
    if isinstance(entry, ModelEntry) and entry.version is not None:
        return {"version": entry.version, "files": files}
    if plugin.source.digest is not None:
        return {"source": plugin.source.digest, "files": files}
    return {"distribution": plugin.distribution, "version": plugin.version, "files": files}


def _file_digests(entry: ModelEntry, plugin: Plugin) -> Iterator[tuple[str, str]]:
    for name in entry.files:
        path = plugin.folder / name
        try:
            yield str(name), plugin.data_digest(path)
        except OSError as error:
            raise PluginError(
                f"model {entry.name!r} of {plugin.label}: its file {path} cannot be read: "
                f"{system_fault(error)}"
            ) from error
