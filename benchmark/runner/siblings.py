"""Runs beside one that are the same but for the code of their recipe or data set."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from typing import Any

from benchmark.errors import StoreError
from benchmark.files import UnreadableError
from benchmark.protocol import Protocol
from benchmark.store import RUN_FILE, RunDirectory


def say_of_other_code(directory: RunDirectory, name: str, protocol: Protocol) -> Iterator[str]:
    """A line for each run that an edit of the recipe or of the data set has left beside this one.

    ``name`` is that of the config. Nothing is said once this run has a directory of its own.
    """
    if (directory.path / RUN_FILE).exists():
        return
    for path in sorted(directory.path.parent.glob(f"{glob.escape(name)}-*")):
        try:
            other = RunDirectory(path).read_description().protocol
        except (StoreError, UnreadableError):
            # Whoever looks at that run is told what is wrong with it.
            continue
        changed = _changed_code(other, protocol)
        if changed:
            yield (
                f"the code of {changed} has changed since {path}, which is kept; "
                f"this is another run, in {directory.path}"
            )


def _changed_code(other: Protocol, protocol: Protocol) -> str:
    """Of what two protocols have other code, where that is all in which they differ."""
    if _without_code(other) != _without_code(protocol):
        return ""
    recipe, dataset = protocol.recipe, protocol.dataset
    parts = {
        f"recipe {recipe.name}": other.recipe.identity != recipe.identity,
        f"data set {dataset.name}": other.dataset.identity != dataset.identity,
    }
    return " and ".join(part for part, has_changed in parts.items() if has_changed)


def _without_code(protocol: Protocol) -> dict[str, Any]:
    """A protocol without its identities, and without the images that other code may have made."""
    of_images = {"identity", "fingerprint", "image", "class_counts"}
    left_out = {"recipe": {"identity"}, "dataset": of_images}
    return protocol.model_dump(mode="json", exclude=left_out)
