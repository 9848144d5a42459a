"""How long OpenMP's threads spin, in the environment of a process that is to load PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

WAIT_POLICY = "OMP_WAIT_POLICY"
SPIN_COUNT = "GOMP_SPINCOUNT"
# GNU's OpenMP spins 300,000 times before a waiting thread sleeps. Where other processes want the
# processor, the threads of a training so keep one another from running, for ten times its share of
# time and more. On an idle machine this many do as well.
SPINS = "10000"


def with_short_spins(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment with a limit on spinning, unless the user has set one or the policy.

    OpenMP reads it when PyTorch is loaded, so it has no effect on a process that has.
    """
    if WAIT_POLICY in environment or SPIN_COUNT in environment:
        return dict(environment)
    return {**environment, SPIN_COUNT: SPINS}
