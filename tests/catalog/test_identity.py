"""What counts as the code of an entry, where the source is not all, or cannot be read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmark.catalog.identity import code_identity, core_identity, variant_identity
from benchmark.catalog.plugin import Plugin
from benchmark.catalog.source import Source
from benchmark.entries import ModelEntry
from benchmark.errors import PluginError


def plugin(source: str | None = "a", version: str = "1.0", file: Path | None = None) -> Plugin:
    made = Plugin("made", "made-plugin", version, module=math, file=file)
    made.source = Source(source)
    return made


def entry(name: str = "net", **changes: Any) -> ModelEntry:
    return ModelEntry(name, nn.Linear, **changes)


def test_a_distributions_version_counts_only_where_no_source_can_be_read() -> None:
    assert code_identity(entry(), plugin()) == code_identity(entry(), plugin(version="2.0"))
    without = code_identity(entry(), plugin(None))
    assert without == code_identity(entry(), plugin(None))
    assert without != code_identity(entry(), plugin(None, version="2.0"))
    assert without != code_identity(entry(), plugin())


def test_a_version_that_an_author_gives_counts_instead_of_the_source() -> None:
    by_hand = code_identity(entry(version="1"), plugin("a"))
    assert by_hand == code_identity(entry(version="1"), plugin("b", version="2.0"))
    assert by_hand != code_identity(entry(version="2"), plugin("a"))
    assert code_identity(entry(), plugin("a")) != code_identity(entry(), plugin("b"))


def test_two_entries_of_one_source_are_not_the_same() -> None:
    assert code_identity(entry("one"), plugin()) != code_identity(entry("two"), plugin())


def test_each_option_counts() -> None:
    narrow, wide = (variant_identity(entry(), plugin(), {"width": width}) for width in (1, 2))
    assert narrow != wide
    assert len(narrow) == len(core_identity()) == 12


def test_data_files_count_by_what_is_in_them(tmp_path: Path) -> None:
    made = plugin(file=tmp_path / "made.py")
    (tmp_path / "taps.bin").write_bytes(b"1")
    before = code_identity(entry(files=("taps.bin",)), made)
    assert before == code_identity(entry(files=(Path("taps.bin"),)), made)
    (tmp_path / "taps.bin").write_bytes(b"2")
    # Of a plugin that has been loaded, a file counts as it was: another load sees the change.
    assert code_identity(entry(files=("taps.bin",)), made) == before
    made = plugin(file=tmp_path / "made.py")
    assert code_identity(entry(files=("taps.bin",)), made) != before
    assert code_identity(entry(files=("taps.bin",), version="1"), made) != before
    with pytest.raises(PluginError, match=r"model 'net' of made .*missing\.bin cannot be read"):
        code_identity(entry(files=("missing.bin",)), made)
