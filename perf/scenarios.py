"""The pairs of models that the rules of comparison are tried on."""

from __future__ import annotations

from dataclasses import dataclass

from perf.simulation import MadeModel


@dataclass(frozen=True)
class Scenario:
    """Two models, how alike they find images difficult, and what a seed does to both.

    For ``likeness`` and ``seed_correlation`` see ``draw_tables``.
    """

    title: str
    a: MadeModel
    b: MadeModel
    likeness: float
    seed_correlation: float = 0.0

    @property
    def difference(self) -> float:
        """By how much A is truly better than B."""
        return self.a.accuracy - self.b.accuracy


# What two of our own families had in common, see the components in docs/calibration.md.
USUAL_LIKENESS = 0.93
_USUAL = 0.004
_ODD = {"seed_spread": 0.003, "odd_seeds": 0.1, "odd_drop": 0.02}

SCENARIOS = {
    "alike": Scenario("two that are alike", MadeModel(0.85, _USUAL), MadeModel(0.85, _USUAL), 0.98),
    "point": Scenario(
        "85 against 84 %", MadeModel(0.85, _USUAL), MadeModel(0.84, _USUAL), USUAL_LIKENESS
    ),
    "good": Scenario(
        "94 against 93.7 %", MadeModel(0.94, 0.002), MadeModel(0.937, 0.002), USUAL_LIKENESS
    ),
    "unlike": Scenario("unlike families", MadeModel(0.85, 0.001), MadeModel(0.84, 0.001), 0.5),
    "same": Scenario(
        "one model twice (A/A)", MadeModel(0.85, 0.0025), MadeModel(0.85, 0.0025), 1.0
    ),
    "unequal": Scenario(
        "seeds spread by 0.3 against 0.8 points",
        MadeModel(0.85, 0.003),
        MadeModel(0.84, 0.008),
        USUAL_LIKENESS,
    ),
    "odd": Scenario(
        "one seed in ten off by 2 points",
        MadeModel(0.85, **_ODD),
        MadeModel(0.84, **_ODD),
        USUAL_LIKENESS,
    ),
    "correlated": Scenario(
        "seeds that do alike to both (0.3)",
        MadeModel(0.85, _USUAL),
        MadeModel(0.84, _USUAL),
        USUAL_LIKENESS,
        seed_correlation=0.3,
    ),
    "short": Scenario(
        "our two families after 5 epochs",
        MadeModel(0.70, 0.0175, agreement=0.82),
        MadeModel(0.61, 0.0193, agreement=0.71),
        USUAL_LIKENESS,
    ),
    "none": Scenario(
        "seeds without effect", MadeModel(0.85, 0.0), MadeModel(0.84, 0.0), USUAL_LIKENESS
    ),
}

# Where so few are wrong that the intervals are often Wilson's and Tango's.
FEW_WRONG = {
    "nearly_all": Scenario(
        "99 against 98.8 %", MadeModel(0.99, 0.0005), MadeModel(0.988, 0.0005), USUAL_LIKENESS
    ),
    "all": Scenario(
        "99.9 against 99.85 %", MadeModel(0.999, 0.0001), MadeModel(0.9985, 0.0001), USUAL_LIKENESS
    ),
}

# Where the rules reach their limits: for a difference, and for a test that knows nothing of seeds.
LIMITS = {
    "lopsided": Scenario(
        "seeds spread by 0.1 against 1.8 points",
        MadeModel(0.85, 0.001),
        MadeModel(0.84, 0.018),
        USUAL_LIKENESS,
    ),
    "same_wide": Scenario(
        "one model twice, seeds spread by 0.7 points",
        MadeModel(0.85, 0.007),
        MadeModel(0.85, 0.007),
        1.0,
    ),
    "same_widest": Scenario(
        "one model twice, seeds spread by 1.8 points",
        MadeModel(0.85, 0.018),
        MadeModel(0.85, 0.018),
        1.0,
    ),
}

EVERY = {**SCENARIOS, **FEW_WRONG, **LIMITS}
