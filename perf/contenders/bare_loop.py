"""The framework's step without the framework: a loop, as short as it can be written.

What belongs to the step is here too: the precision, the layout, the images that lie in memory as
bytes, the cheap dropout and the allocator that keeps its memory. After the same number of steps
from the same seed the weights are, bit for bit, the framework's.
"""

from __future__ import annotations

import itertools
import time
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn, optim
from torch.nn import functional

from benchmark.training import CheapDropout, keep_freed_memory
from perf.contenders.torch_models import build, count_values
from perf.turns import Turns
from perf.workload import EPSILON, LEARNING_RATE, Workload


def contend(workload: Workload, turns: Turns) -> None:
    """Train a block a turn."""
    keep_freed_memory()
    torch.manual_seed(workload.seed)
    images = workload.images()
    pixels = torch.from_numpy(images.pixels).permute(0, 2, 3, 1).contiguous()
    labels = torch.from_numpy(images.labels)
    model = build(workload.model).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model)
    turns.describe(parameters=count_values(model), precision=workload.precision)
    goes_on = True
    while goes_on:
        start = time.perf_counter()
        order = torch.randperm(len(labels))
        epoch = pixels.index_select(0, order), labels.index_select(0, order)
        train_steps(model, optimizer, *epoch, workload.batch_size, workload.precision)
        goes_on = turns.give(time.perf_counter() - start)


def make_optimizer(model: nn.Module) -> optim.Optimizer:
    """The recipe's optimiser."""
    return optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=EPSILON, fused=True)


def train_steps(
    model: nn.Module,
    optimizer: optim.Optimizer,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    batch_size: int,
    precision: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a step for each whole batch of images in their order; returns each step's loss and hits.

    ``pixels`` are uint8 of N x H x W x C, ``labels`` int64 of N.
    """
    model.train()
    losses, hits = [], []
    batches = zip(pixels.split(batch_size), labels.split(batch_size), strict=True)
    for images, wanted in itertools.islice(batches, len(labels) // batch_size):
        batch = images.to(torch.float32).div_(255).permute(0, 3, 1, 2)
        optimizer.zero_grad(set_to_none=True)
        with autocast(precision), CheapDropout():
            logits = model(batch)
        logits = logits.float()
        loss = functional.cross_entropy(logits, wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        hits.append((logits.detach().argmax(1) == wanted).sum())
    return torch.stack(losses), torch.stack(hits)


def autocast(precision: str) -> AbstractContextManager[object]:
    """The precision in which the model computes."""
    return torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else nullcontext()
