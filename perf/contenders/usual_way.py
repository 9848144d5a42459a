"""The loop of the tutorials: a data loader with two workers, fp32, PyTorch's own layout."""

from __future__ import annotations

import time

import torch
from torch import nn, optim

from perf.contenders.image_loader import make_loader
from perf.contenders.torch_models import build, count_values
from perf.turns import Turns
from perf.workload import EPSILON, LEARNING_RATE, Workload


def contend(workload: Workload, turns: Turns) -> None:
    """Train a block a turn."""
    torch.manual_seed(workload.seed)
    loader = make_loader(workload)
    model = build(workload.model)
    optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=EPSILON)
    criterion = nn.CrossEntropyLoss()
    turns.describe(parameters=count_values(model), precision="fp32")
    goes_on = True
    while goes_on:
        start = time.perf_counter()
        model.train()
        running_loss, correct = 0.0, 0
        for pixels, labels in loader:
            optimizer.zero_grad()
            logits = model(pixels)
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            correct += int((logits.argmax(1) == labels).sum())
        goes_on = turns.give(time.perf_counter() - start)
