"""A full disk is called full, and what is asked for then works."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchmark.errors import one_line
from benchmark.files.writing import write_fault

FILE = Path("runs/a/trials/b/seed-0/trial.json")


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refused(errno.ENOSPC), "the disk is full"),
        (refused(errno.EDQUOT), "the disk quota is used up"),
        # What NumPy raises has no number.
        (OSError("600000 requested and 409600 written"), "the disk is full"),
    ],
)
def test_a_full_disk_is_called_full(error: OSError, words: str) -> None:
    fault = write_fault(FILE, error)
    assert fault.startswith(f"{FILE}: cannot be written: {error.strerror or error} ({words}); ")
    assert fault.endswith(
        f"make room in {FILE.parent}, and the same command resumes from the checkpoint"
    )
    assert one_line(error).endswith(f" ({words})")
    assert "choose another" in write_fault(FILE, error, full="or choose another")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO, errno.ENOTDIR])
def test_another_refusal_is_not(number: int) -> None:
    assert write_fault(FILE, refused(number)) == f"{FILE}: cannot be written: {os.strerror(number)}"
    assert write_fault(FILE, refused(number), otherwise="do this").endswith("; do this")
    assert "full" not in one_line(refused(number))
