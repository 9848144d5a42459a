"""The control: the first model once more, under a second name and with other seeds.

What it differs by from the model that it repeats, chance alone has made.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.config.checker import Checker
from benchmark.config.seeds import LARGEST_SEED
from benchmark.config.variants import ChosenModel
from benchmark.entries import is_name

# More than a number of seeds can be.
DISTANCE = 10_000


def control_of(model: ChosenModel) -> ChosenModel:
    """A model under the name that its control has."""
    return model.model_copy(update={"label": f"{model.label}-control"})


def control_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds of a control, of a model that has ``seeds``."""
    return tuple(seed + DISTANCE for seed in seeds)


def refuse_control(
    checker: Checker, models: Sequence[ChosenModel], seeds: Sequence[int] | None
) -> None:
    """Note a fault where there is no name or there are no seeds for a control.

    ``seeds`` are those that the config lists, None where it gives a number.
    """
    label = control_of(models[0]).label
    if not is_name(label):
        checker.fault(("control",), f"its label, {label!r}, would be too long; give a shorter")
    taken = [model.label for model in models if model.label.casefold() == label.casefold()]
    if taken:
        checker.fault(
            ("control",), f"its label would be {label!r}, which a model has; give that another"
        )
    given = set(seeds or ())
    far = f"its seeds are {DISTANCE:,} larger than those of the models"
    beyond = max(given, default=0) + DISTANCE > LARGEST_SEED
    if beyond:
        checker.fault(("control",), f"{far}, and {max(given)} is too large for that")
    for seed in sorted(given.intersection(control_seeds(seeds or ())))[:1]:
        checker.fault(("control",), f"{far}, and {seed} would belong to both; give other seeds")
