"""An entry's options, as people and programs read them."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.entries import Entry
    from benchmark.report import OptionText

HEADERS = ("option", "type", "default", "meaning")
NO_DEFAULT = "required"


def has_options(entry: Entry) -> bool:
    """Whether the entry has any."""
    return bool(_options(entry))


def options_text(entry: Entry) -> str:
    """A table of the options, within the terminal's width."""
    from benchmark.report import DEFAULT_WIDTH, lay_out_prose

    rows = [
        (option.name, option.type, option.default or NO_DEFAULT, option.description)
        for option in _options(entry)
    ]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else DEFAULT_WIDTH
    return lay_out_prose(rows, HEADERS, max(width, DEFAULT_WIDTH))


def options_data(entry: Entry) -> list[dict[str, Any]]:
    """The options as JSON has them."""
    return [asdict(option) for option in _options(entry)]


def _options(entry: Entry) -> list[OptionText]:
    # Imported here: --help must not wait for it.
    from benchmark.entries import Options
    from benchmark.report import option_texts

    return option_texts(getattr(entry, "options", Options))
