"""The names of what the plugins offer, for a shell that waits for them.

They are asked of another process, so that no plugin that prints, fails or crashes can disturb a
shell. They are kept until a plugin changes: to load plugins means to import PyTorch, and takes
seconds.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from benchmark.files import write_atomically
from benchmark.hookspecs import ENTRY_POINT_GROUP

Names = dict[str, list[str]]

# Among the names, in the place of a kind: the files that were read to find out the names.
FILES_READ = "files read"
CACHE_FILE = "completion.json"
# A plugin that takes longer is not waited for.
LONGEST_LOAD_SECONDS = 30.0
# Has Python look for modules where the parent does, before anything of ours is imported.
BOOTSTRAP = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from benchmark.cli.entry_names import send_names; "
    "send_names(int(sys.argv[2]), json.loads(sys.argv[3]))"
)


def entry_names(selection: Sequence[str]) -> Names:
    """The names of all entries by kind, none where the plugins cannot be loaded.

    ``selection`` is what ``selected_plugins`` returns.
    """
    cache, state = platformdirs.user_cache_path("benchmark") / CACHE_FILE, _state(selection)
    # What cannot be read, or is not what was written, is found out anew.
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(cache.read_bytes())
        names = dict(kept["names"])
        if (kept["state"], kept["read"]) == (state, _stamps_of_read(names)):
            return names
    names = _ask(selection)
    if names:
        _keep(cache, {"state": state, "read": _stamps_of_read(names), "names": names})
    return names


def _ask(selection: Sequence[str]) -> Names:
    """Have another process load the plugins; no names where that fails."""
    with tempfile.TemporaryFile() as answer:
        arguments = [json.dumps(sys.path), str(answer.fileno()), json.dumps(selection)]
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-P", "-c", BOOTSTRAP, *arguments],
                pass_fds=[answer.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=LONGEST_LOAD_SECONDS,
                check=False,
            )
        answer.seek(0)
        content = answer.read()
    names: Names = json.loads(content) if content else {}
    return names


def _keep(cache: Path, content: Mapping[str, Any]) -> None:
    # Where nothing can be written, it is found out anew each time.
    with suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(cache, json.dumps(content).encode())


def _state(selection: Sequence[str]) -> str:
    """A digest of what the names depend on: what is installed, and the plugins' files."""
    digest = hashlib.sha256()
    for fact in (sys.prefix, *selection, *sorted(_installed()), *_plugin_files(selection)):
        digest.update(f"{fact}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _installed() -> Iterator[str]:
    for distribution in importlib.metadata.distributions():
        yield f"{distribution.name} {distribution.version}"


def _plugin_files(selection: Sequence[str]) -> Iterator[str]:
    modules = {point.module for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
    selected = {item for item in selection if not item.startswith("no:")}
    for item in sorted(modules | selected):
        yield from _stamps(_source_files(item))


def _stamps_of_read(names: Names) -> list[str]:
    return [*_stamps(map(Path, names.get(FILES_READ, [])))]


def _stamps(files: Iterable[Path]) -> Iterator[str]:
    for file in files:
        with suppress(OSError):
            status = file.stat()
            yield f"{file} {status.st_mtime_ns} {status.st_size}"


def _source_files(item: str) -> list[Path]:
    """The files of a plugin, which is written as ``-p`` takes it; imports none of them."""
    if os.sep in item:
        # Of a module in a folder, all are among the files that are read.
        return [Path(item)]
    # Of the package it lies in: to find the module itself would import the package.
    package, _, rest = item.partition(".")
    with suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations and rest:
            return sorted(
                file
                for folder in spec.submodule_search_locations
                for file in Path(folder).rglob("*.py")
            )
        return [Path(spec.origin)] if spec is not None and spec.origin else []
    return []


def send_names(descriptor: int, selection: Sequence[str]) -> None:
    """Write the names of all entries, as JSON; this is what the other process does."""
    # Imported here: only the other process needs it.
    from benchmark.catalog import files_read, load_catalog

    catalog = load_catalog(tuple(selection))
    names = {
        kind: sorted(offer.entry.name for offer in shelf) for kind, shelf in catalog.shelves.items()
    }
    names[FILES_READ] = files_read()
    with os.fdopen(descriptor, "w") as file:
        json.dump(names, file)
