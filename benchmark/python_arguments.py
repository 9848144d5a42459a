"""The arguments of ``benchmark.run``: what of them a config is, and what is not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.catalog import PythonModel, take_python_models
from benchmark.errors import BenchmarkError
from benchmark.files import usable_folder
from benchmark.standard_error import warn

# What carries trials out in this process.
INLINE = "inline"


def take_models(
    given: object, keywords: dict[str, Any]
) -> tuple[str | Mapping[str, Any], dict[str, Any], list[PythonModel]]:
    """A config and its keywords as a config has them, and the models that are no plugin's.

    These are trained in this process, and so are all others of the run.
    """
    config, models = _config(given), list[PythonModel]()
    if isinstance(config, Mapping) and "models" in config:
        plain, models = take_python_models(config["models"])
        config = {**config, "models": plain}
    if "models" in keywords:
        plain, models = take_python_models(keywords["models"])
        keywords = {**keywords, "models": plain}
    if not models:
        return config, keywords, []
    labels = ", ".join(model.label for model in models)
    if keywords.get("executor", INLINE) not in (INLINE, {"name": INLINE}):
        raise BenchmarkError(
            f"executor: should be {INLINE!r}, or left out: {labels} can be trained in this process "
            "alone"
        )
    warn(f"all models are trained in this process (executor {INLINE}), because of {labels}")
    return config, {**keywords, "executor": INLINE}, models


def _config(config: object) -> str | Mapping[str, Any]:
    match config:
        case str() | Mapping():
            return config
        case os.PathLike():
            return str(Path(config))
    raise _not_a("config: should be a path, a preset's name or a mapping", config)


def folder(keyword: str, value: object) -> Path:
    """Read the path of a folder; raises BenchmarkError for what can be none."""
    if not isinstance(value, str | os.PathLike):
        raise _not_a(f"{keyword}: should be a path", value)
    return usable_folder(Path(value) if value else "", f"{keyword} {value}".strip())


def plugin_names(plugins: object) -> list[str]:
    """Read a list of plugins; raises BenchmarkError for what is none."""
    if not isinstance(plugins, list | tuple):
        raise _not_a("plugins: should be a list of modules' names and of files", plugins)
    for item in plugins:
        if not isinstance(item, str | os.PathLike):
            raise _not_a("plugins: should be modules' names and files", item)
    return [os.fspath(item) for item in plugins]


def _not_a(message: str, value: object) -> BenchmarkError:
    return BenchmarkError(f"{message}, got a value of type {type(value).__name__}")
