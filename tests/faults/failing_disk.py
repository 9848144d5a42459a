"""A plugin whose process cannot write to the disk, from the moment that the environment names.

``FAILING_DISK="ENOSPC 7"`` makes the seventh attempt to write a file of the run, and all after it,
fail as on a full disk. It counts in every process that loads the plugin: the parent, each worker.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark import Column, hookimpl
from benchmark.specs import TrialKey

FAILING_DISK = "FAILING_DISK"


def fail_from(error: int, first: int) -> None:
    """Have the store and the checkpoints fail from the ``first`` attempt on."""
    from benchmark.store import directory as store
    from benchmark.training import checkpoint

    attempts = itertools.count(1)
    write = store.write_atomically
    append = store.RunDirectory.append_epoch

    def attempt() -> None:
        if next(attempts) >= first:
            raise OSError(error, os.strerror(error))

    def failing_write(path: Path, content: bytes | memoryview) -> None:
        attempt()
        write(path, content)

    def failing_append(directory: Any, key: TrialKey, epoch: Any) -> None:
        with store._disk_faults(directory.trial_directory(key) / store.HISTORY_FILE):
            attempt()
        append(directory, key, epoch)

    store.write_atomically = failing_write
    checkpoint.write_atomically = failing_write
    store.RunDirectory.append_epoch = failing_append  # type: ignore[assignment]


@hookimpl
def benchmark_columns() -> Iterator[Column]:
    """Offer nothing; but this is called in every process, before anything is written."""
    wanted = os.environ.get(FAILING_DISK)
    if wanted:
        name, first = wanted.split()
        fail_from(getattr(errno, name), int(first))
    return iter(())
