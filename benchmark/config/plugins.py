"""The plugins that a config selects, and those that a run had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.catalog import is_in_folder, settled, unselectable
from benchmark.config.checker import Checker
from benchmark.config.run_config import RunConfig
from benchmark.config.strict_yaml import Document
from benchmark.errors import ConfigError, PathError

KEY = "plugins"


def config_plugins(document: Document, given: Sequence[str] = ()) -> list[str]:
    """What a document's ``plugins`` select, as it means the same anywhere.

    Each is written as after ``-p``; files and modules in a folder are looked for from the config's
    own folder. ``given`` is selected beside them, and may be what they block. Raises ConfigError
    with every one that selects nothing.
    """
    raw = document.data.get(KEY)
    if raw is None:
        return []
    checker = Checker(document)
    if not isinstance(raw, list):
        checker.fault((KEY,), f"should be a list of modules, files and no:NAME, got {raw!r}")
        raise ConfigError(checker.faults)
    folder, places = _folder(document), dict[str, int]()
    for index, item in enumerate(raw):
        if not isinstance(item, str):
            checker.fault((KEY, index), f"should be a module, a file or no:NAME, got {item!r}")
            continue
        try:
            selected = settled(item, folder, item or repr(item))
            places.setdefault(str(folder / selected) if is_in_folder(item) else selected, index)
        except PathError as error:
            checker.fault((KEY, index), str(error))
    for selected, reason in unselectable([*given, *places]).items():
        if selected in places:
            index = places[selected]
            checker.fault((KEY, index), f"{raw[index] or repr(raw[index])}: {reason}")
    if checker.faults:
        raise ConfigError(checker.faults)
    return [*places]


def plugins_of_run(config: RunConfig, directory: Path, warn: Callable[[str], None]) -> list[str]:
    """The plugins that a run had, but for those that are not there, each left out with a line.

    A file in the run's own directory is left out, too: to look at what somebody else has trained
    should not run what came with it.
    """
    reasons = unselectable(config.plugins)
    for item in config.plugins:
        if is_in_folder(item) and Path(item).resolve().is_relative_to(directory.resolve()):
            reasons[item] = "it lies in the run's own directory; give it with -p if you trust it"
    for item, reason in reasons.items():
        warn(f"the run's plugin {item} is left out: {reason}")
    return [item for item in config.plugins if item not in reasons]


def _folder(document: Document) -> Path:
    """Where relative paths start: what stands in no file was given in the current folder."""
    is_in_file = document.origin((KEY,)).startswith(document.source) and document.source
    return Path(document.source).absolute().parent if is_in_file else Path.cwd()
