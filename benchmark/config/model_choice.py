"""The models that ``-m`` chooses.

``-m`` takes a model's name or the label of one in the config; either with ``*`` and ``?`` for all
that match; a name with options, ``name[key=value,...]``; and ``label@identity``, which insists on
the code of that identity.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.catalog import Catalog, variant_identity
from benchmark.config.checker import Checker
from benchmark.config.strict_yaml import Document, Location, parse_value
from benchmark.config.variants import ChosenModel, variants_of
from benchmark.errors import ConfigError, Fault
from benchmark.spelling import did_you_mean

_VERSION = re.compile(r"(?P<choice>.+)@(?P<identity>[0-9A-Fa-f]+)")
_WITH_OPTIONS = re.compile(r"(?P<name>[^\[\]]*)\[(?P<options>.*)\]", re.DOTALL)
_OPENING, _CLOSING, _QUOTES = "[{(", "]})", "\"'"


def choose_models(document: Document, texts: Sequence[str], catalog: Catalog) -> Document:
    """The document with the models that ``texts``, as given after ``-m``, choose.

    Raises ConfigError for a text that chooses nothing, or another version than there is.
    """
    configured = _configured(document, catalog)
    items: list[str | dict[str, Any]] = []
    matched: list[str | dict[str, Any]] = []
    origins: dict[Location, str] = {}
    for text in texts:
        choice, identity = _version(text)
        found = _chosen(text, choice, configured, catalog)
        if identity is not None:
            _require_version(text, identity, found, catalog)
        for item in found:
            # What several patterns match, or is named beside one, is chosen once.
            if item in matched or (_is_pattern(choice) and item in items):
                continue
            matched += [item] if _is_pattern(choice) else []
            location = ("models", len(items))
            if isinstance(item, dict):
                origins[location] = f"-m {text}"
                origins |= {(*location, key): f"-m {text}: {key}" for key in item}
            items.append(item)
    chosen = document.replaced(("models",), items, "-m")
    return Document(chosen.source, chosen.data, {**chosen.origins, **origins})


def resolve_model(text: str, catalog: Catalog) -> ChosenModel:
    """The one model that a name stands for, which may have options behind it.

    Raises UnknownNameError for an unknown name and ConfigError for faulty options.
    """
    with_options = _with_options(text, text)
    name = with_options["name"] if with_options else text
    given = _options(text, with_options["options"]) if with_options else {}
    # For its message, which names no key of a config.
    _ = catalog.models[name]
    checker = Checker(Document("", {}, dict.fromkeys(((key,) for key in given), text)))
    found = [*variants_of(checker, (), {**given, "name": name}, catalog.models)]
    if checker.faults:
        raise ConfigError(checker.faults)
    if len(found) != 1:
        raise _fault(text, f"stands for {len(found)} models; give one")
    return found[0]


def _configured(document: Document, catalog: Catalog) -> dict[str, dict[str, Any]]:
    """The models of the config by label, each as an item of its own; not those with faults."""
    raw = document.data.get("models")
    items = raw if isinstance(raw, list) else []
    found = [
        model
        for index, item in enumerate(items)
        for model in variants_of(Checker(document), ("models", index), item, catalog.models)
    ]
    return {
        model.label: {"name": model.name, "label": model.label, **model.options} for model in found
    }


def _version(text: str) -> tuple[str, str | None]:
    """What stands before ``@``, and the identity behind it, if there is one."""
    found = _VERSION.fullmatch(text)
    return (found["choice"], found["identity"].lower()) if found else (text, None)


def _is_pattern(text: str) -> bool:
    return "[" not in text and ("*" in text or "?" in text)


def _chosen(
    text: str, choice: str, configured: Mapping[str, dict[str, Any]], catalog: Catalog
) -> list[str | dict[str, Any]]:
    """The items of ``models`` that a text chooses."""
    with_options = _with_options(f"-m {text}", choice)
    if with_options is not None:
        if _is_pattern(with_options["name"]):
            raise _fault(
                f"-m {text}", "a pattern takes no options; give them to each model by name"
            )
        given = _options(f"-m {text}", with_options["options"])
        return [{**given, "name": with_options["name"]}]
    if choice in configured:
        return [configured[choice]]
    if not _is_pattern(choice):
        return [choice]
    names = [offer.entry.name for offer in catalog.models]
    known = dict.fromkeys([*configured, *names])
    matching = [name for name in known if fnmatch.fnmatchcase(name, choice)]
    if not matching:
        hint = did_you_mean(choice.strip("*?"), known) or f" (there are: {', '.join(known)})"
        raise _fault("-m", f"no model matches {choice!r}{hint}")
    return [configured.get(name, name) for name in matching]


def _with_options(origin: str, choice: str) -> re.Match[str] | None:
    """The parts of a name with options, None for anything without; raises ConfigError."""
    found = _WITH_OPTIONS.fullmatch(choice)
    if found is None and not {"[", "]"}.isdisjoint(choice):
        shape = "should be NAME[KEY=VALUE,...], with brackets around all options"
        raise _fault(origin, shape)
    return found


def _options(origin: str, written: str) -> dict[str, Any]:
    """Read ``key=value,...``, the values as in YAML; raises ConfigError."""
    options: dict[str, Any] = {}
    for part in _parts(written):
        key, separator, value = (word.strip() for word in part.partition("="))
        if not separator or not key:
            raise _fault(origin, f"{part.strip()!r} should be KEY=VALUE, such as name[width=2]")
        if key in options or key == "name":
            raise _fault(origin, f"{key} is given twice")
        options[key] = parse_value(value, f"{origin}: {key}")
    return options


def _parts(written: str) -> Iterator[str]:
    """Split at commas that stand neither in brackets nor in quotes."""
    depth, quote, start = 0, "", 0
    for place, character in enumerate(written):
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "," and depth == 0:
            yield written[start:place]
            start = place + 1
    if written[start:].strip():
        yield written[start:]


def _require_version(
    text: str, identity: str, items: Sequence[str | dict[str, Any]], catalog: Catalog
) -> None:
    """Raise ConfigError if one of the models has another identity now."""
    for item in items:
        checker = Checker(Document("", {}, {}))
        for model in variants_of(checker, (), item, catalog.models):
            offer = catalog.models[model.name]
            present = variant_identity(offer.entry, offer.plugin, model.options)
            if not present.startswith(identity):
                raise _fault(
                    f"-m {text}",
                    f"the code of {model.label} is {present} now, and a run trains what the code "
                    f"is now; 'benchmark table RUN -m {model.label}@{identity}' shows a version "
                    "that was trained before",
                )


def _fault(origin: str, message: str) -> ConfigError:
    return ConfigError([Fault(origin, "", message)])
