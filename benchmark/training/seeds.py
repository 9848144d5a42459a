"""What a seed decides: a trial's random draws follow from its seed, a stream and an epoch."""

from __future__ import annotations

import random

import numpy
import torch

# One stream for each thing that is drawn, so that none shifts another's draws.
SUBSET_STREAM = 0
ORDER_STREAM = 1
AUGMENTATION_STREAM = 2
VALIDATION_STREAM = 3
TRANSFORM_STREAM = 4

INITIAL_WEIGHTS = 0
TRAINING = 1


def seed_everything(*key: int) -> None:
    """Seed Python's, NumPy's and torch's global generators, alike for alike keys.

    A trial does so with (seed, INITIAL_WEIGHTS) before its model is built, and with
    (seed, TRAINING, epoch) before every epoch: a training that goes on from a checkpoint then
    draws what it would have drawn, and no checkpoint has to hold a generator's state.
    """
    state = numpy.random.SeedSequence(key).generate_state(3)
    random.seed(int(state[0]))
    numpy.random.seed(int(state[1]))
    torch.manual_seed(int(state[2]))


def generator(*key: int) -> numpy.random.Generator:
    """NumPy's default generator, seeded with ``key``."""
    return numpy.random.default_rng(key)
