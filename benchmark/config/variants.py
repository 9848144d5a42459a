"""The models that a config chooses, each with options, under a label.

An item of ``models`` is a name, or a mapping with a name, options, a ``label``, and ``each``, which
maps options to lists of values: every combination of these is a variant of its own.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmark.catalog import Shelf
from benchmark.config.checker import Checker
from benchmark.config.strict_yaml import Location
from benchmark.entries import ModelEntry, Options, is_name
from benchmark.protocol import Selection

# Far beyond any use; a slip of the finger should not fill the memory.
MOST_VARIANTS = 10_000
KEYS_BESIDE_OPTIONS = ("name", "label", "each")


class ChosenModel(Selection):
    """A model entry with all of its options; ``label`` is what its row is called."""

    label: str


def chosen_models(checker: Checker, shelf: Shelf[ModelEntry]) -> tuple[ChosenModel, ...] | None:
    """Read ``models``; None where the key is not there. Faults are the checker's."""
    if "models" not in checker.document.data:
        return None
    raw = checker.document.data["models"]
    if not isinstance(raw, list):
        checker.fault(("models",), f"should be a list of names and mappings, got {raw!r}")
        return ()
    if not raw:
        checker.fault(("models",), "should name at least one")
    chosen: dict[str, tuple[Location, ChosenModel]] = {}
    for index, item in enumerate(raw):
        location = ("models", index)
        for model in variants_of(checker, location, item, shelf):
            _refuse_same_label(checker, location, model, chosen)
            chosen.setdefault(model.label.casefold(), (location, model))
        if len(chosen) > MOST_VARIANTS:
            checker.fault(("models",), f"more than {MOST_VARIANTS:,} models")
            break
    return tuple(model for _, model in chosen.values())


def variants_of(
    checker: Checker, location: Location, item: Any, shelf: Shelf[ModelEntry]
) -> Iterator[ChosenModel]:
    """The variants that one item of ``models`` stands for. Faults are the checker's."""
    raw = {"name": item} if isinstance(item, str) else item
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        checker.fault(location, f"should be a name, or a mapping with a name, got {item!r}")
        return
    name = raw["name"]
    if not checker.knows((*location, "name") if raw is item else location, name, shelf):
        return
    fixed = {key: value for key, value in raw.items() if key not in KEYS_BESIDE_OPTIONS}
    label = raw.get("label")
    if label is not None and not (isinstance(label, str) and is_name(label)):
        checker.fault((*location, "label"), f"should be a name, got {label!r}")
        return
    each = raw.get("each", {})
    combinations = [*_combinations(checker, location, each, fixed)]
    if label is not None and len(combinations) > 1:
        checker.fault(
            (*location, "label"),
            f"one label for {len(combinations)} models; leave it out, and each has one of its own",
        )
        return
    for varied in combinations:

        def locate(key: Location, varied: Mapping[str, Any] = varied) -> Location:
            option = str(key[0])
            if option not in varied:
                return (*location, *key)
            return (*location, "each", option, each[option].index(varied[option]), *key[1:])

        options = checker.options(
            name,
            {**fixed, **varied},
            shelf,
            locate,
            lambda place: f": -m '{name}[{place[-1]}=VALUE]'",
        )
        if options is None:
            # The other combinations would have the same faults, or nearly.
            return
        found = label or default_label(name, options)
        if not is_name(found):
            checker.fault(location, f"its label, {found!r}, would be too long; give it a label")
            return
        yield ChosenModel(name=name, options=options.model_dump(mode="json"), label=found)


def default_label(name: str, options: Options) -> str:
    """An entry's name and those of its options that have not their defaults."""
    values = options.model_dump(mode="json")
    parts = [name]
    for key, option in type(options).model_fields.items():
        default = option.get_default(call_default_factory=True, validated_data={})
        if option.is_required() or getattr(options, key) != default:
            parts += [key, _text(values[key])]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).rstrip(".")


def _text(value: Any) -> str:
    """A value as a label has it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, Mapping):
        return "-".join(f"{key}-{_text(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "-".join(map(_text, value))
    return str(value)


def _combinations(
    checker: Checker, location: Location, each: Any, fixed: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Every choice of a value for each option in ``each``; one without a choice where it is empty.

    The first option changes slowest.
    """
    place = (*location, "each")
    if not isinstance(each, dict):
        checker.fault(place, f"should map options to lists of values, got {each!r}")
        return
    for key, values in each.items():
        if not isinstance(values, list) or not values:
            checker.fault((*place, key), f"should be a list of values, got {values!r}")
            return
        if key in fixed:
            checker.fault((*place, key), "is given outside of 'each', too")
            return
    if math.prod(len(values) for values in each.values()) > MOST_VARIANTS:
        checker.fault(place, f"more than {MOST_VARIANTS:,} combinations")
        return
    for values in itertools.product(*each.values()):
        yield dict(zip(each, values, strict=True))


def _refuse_same_label(
    checker: Checker,
    location: Location,
    model: ChosenModel,
    chosen: Mapping[str, tuple[Location, ChosenModel]],
) -> None:
    if model.label.casefold() not in chosen:
        return
    _, other = chosen[model.label.casefold()]
    if other.label != model.label:
        checker.fault(
            location,
            f"the labels {other.label!r} and {model.label!r} differ in case only, and would have "
            "one folder on some systems; give one of them another label",
        )
    elif other == model:
        checker.fault(location, f"{model.label!r} is chosen twice")
    else:
        checker.fault(
            location, f"two models have the label {model.label!r}; give one of them another label"
        )
