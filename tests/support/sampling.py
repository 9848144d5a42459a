"""What a run of the tests leaves out, and runs on other commits make up for.

The long sweeps draw a sample, seeded by the commit, so that each commit runs others of their cases.
``SAMPLE=3652f13`` draws the sample of that commit again; ``SAMPLE=all`` leaves nothing out.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")

SAMPLE = "SAMPLE"
ALL = "all"
ROOT = Path(__file__).parents[2]


def seed() -> str:
    """What the samples of this run are drawn by, or ``all``."""
    if SAMPLE not in os.environ:
        # Also for the processes among which the tests are divided.
        os.environ[SAMPLE] = _commit() or _digest_of_the_tree()
    return os.environ[SAMPLE]


def is_whole() -> bool:
    """Whether nothing is left out."""
    return seed() == ALL


def chance(sweep: str) -> random.Random:
    """A generator of the sweep's own, which draws the same in all of a run."""
    return random.Random(f"{seed()} {sweep}")


def sampled(sweep: str, cases: Sequence[Case], count: int) -> list[Case]:
    """So many of a sweep's cases, in their order; all if nothing is to be left out."""
    if is_whole():
        return list(cases)
    return [cases[number] for number in sorted(chance(sweep).sample(range(len(cases)), count))]


def is_drawn(sweep: str, one_in: int) -> bool:
    """Whether a sweep that has one case is in the sample, as on one in so many commits."""
    return is_whole() or chance(sweep).randrange(one_in) == 0


def examples(count: int) -> int:
    """How many of ``count`` examples Hypothesis tries: others on each commit."""
    return count if is_whole() else max(3, count // 4)


def hypothesis_seed() -> int:
    """The seed of Hypothesis's examples."""
    return int.from_bytes(hashlib.sha256(seed().encode()).digest()[:8])


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()


def _digest_of_the_tree() -> str:
    """Of the sources, where they are no checkout of git's."""
    digest = hashlib.sha256()
    for folder in ("benchmark", "plugins", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:10]
