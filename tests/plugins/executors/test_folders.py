"""A folder that is sent from one machine to another, change by change."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from benchmark.errors import StoreError
from benchmark_plugins.executors.cluster.folders import Changes, WatchedFolder, apply

CLOCK = itertools.count(10**18)
NAMES = st.sampled_from(["a", "b", "sub/a", "sub/b"])
WRITE = st.tuples(st.just("write"), NAMES, st.binary(max_size=4))
MOVE = st.tuples(st.just("move"), NAMES, NAMES)
SEND = st.just(("send", "", ""))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@settings(deadline=None)
@given(st.lists(st.one_of(WRITE, MOVE, SEND), max_size=12))
def test_whatever_happens_in_the_one_is_in_the_other(steps: list[tuple[str, str, object]]) -> None:
    with tempfile.TemporaryDirectory() as near, tempfile.TemporaryDirectory() as far:
        here, there = Path(near), Path(far)
        (here / "sub").mkdir()
        watched = WatchedFolder(here)
        for action, name, what in steps:
            act(here, action, name, what)
            if action == "send":
                apply(watched.changes(), there)
        apply(watched.changes(), there)
        assert contents(there).items() >= contents(here).items()


def act(folder: Path, action: str, name: str, what: object) -> None:
    path = folder / name
    if action == "write":
        assert isinstance(what, bytes)
        # A new file in the old one's place, as whatever is written whole is.
        (folder / ".new").write_bytes(what)
        # Some file systems have no finer clock than that two writes seem to be at once.
        os.utime(folder / ".new", ns=(next(CLOCK), next(CLOCK)))
        (folder / ".new").replace(path)
    elif action == "move" and path.exists():
        path.replace(folder / str(what))


def test_what_is_sent_is_sent_once(tmp_path: Path) -> None:
    watched = WatchedFolder(tmp_path)
    (tmp_path / "newest").write_bytes(b"first")
    assert watched.changes() == Changes({}, {"newest": b"first"})
    assert watched.changes() == Changes({}, {})
    (tmp_path / "newest").replace(tmp_path / "previous")
    (tmp_path / "newest").write_bytes(b"second")
    assert watched.changes() == Changes({"newest": "previous"}, {"newest": b"second"})


def test_a_file_that_is_being_written_stays(tmp_path: Path) -> None:
    (tmp_path / ".newest.x.tmp").write_bytes(b"half")
    (tmp_path / "elsewhere").symlink_to("/etc/hostname")
    assert WatchedFolder(tmp_path).changes() == Changes({}, {})


@pytest.mark.parametrize("name", ["../outside", "/outside", "sub/../../outside"])
@pytest.mark.parametrize("renamed", [False, True])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str, renamed: bool) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"")
    changes = Changes({"a": name}, {}) if renamed else Changes({}, {name: b""})
    with pytest.raises(ValueError, match="is not in"):
        apply(changes, folder)
    assert contents(tmp_path) == {"folder/a": b""}


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").write_bytes(b"no folder")
    with pytest.raises(StoreError, match=r"cannot be written: (File exists|Not a directory)"):
        apply(Changes({}, {"sub/a": b""}), tmp_path)
