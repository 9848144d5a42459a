"""A whole training step captured as one CUDA graph, so that the host only says "again".

Capturing bakes what the host decides into the graph. So everything that changes from step to
step is read on the device: the images' order by a counter, the learning rate from a table. And a
graph is not believed before its replays have moved the weights as eager steps did.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch

from benchmark.errors import one_line
from benchmark.training.seeds import seed_everything
from benchmark.training.steps import TrainingStep

# As many as show what a host does from step to step: a counter of its own, a draw of its own.
REHEARSED_STEPS = 8
# Kernels that add in no fixed order differ by far less than a step; a baked constant by more.
TOLERANCE = 0.1

Record = Callable[[Callable[[], None]], Callable[[], None]]


class NotCapturableError(Exception):
    """A model, loss or optimiser that only eager steps train rightly; the text says why."""


def record_cuda_graph(body: Callable[[], None]) -> Callable[[], None]:
    """Capture ``body`` as a CUDA graph and return what replays it."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        body()
    return graph.replay


class CapturedStep:
    """``step``, captured. Its weights, optimiser and average are left as they were.

    Raises NotCapturableError where capturing fails, or gives something else than eager steps.
    """

    def __init__(self, step: TrainingStep, record: Record = record_cuda_graph) -> None:
        self._step = step
        self._steps = min(REHEARSED_STEPS, step.steps_per_epoch)
        self._before = copy.deepcopy(step.state())
        self._taken = torch.tensor([step.steps_taken], device=step.device)
        factors = torch.tensor(step.optimization.learning_rates, dtype=torch.float64)
        table = torch.tensor(step.rates, dtype=torch.float64).unsqueeze(1) * factors
        self._rates = table.to(step.device, torch.float32)
        for group in step.optimization.optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
        try:
            self._capture(record)
        except BaseException:
            step.restore(self._before)
            raise
        del self._before

    def take(self, count: int) -> None:
        """Take the next ``count`` steps by replaying the graph."""
        for _ in range(count):
            self._replay()
        self._step.steps_taken += count

    def _capture(self, record: Record) -> None:
        expected = self._rehearse(self._step.take)
        for group in self._step.optimization.optimizer.param_groups:
            group["lr"] = torch.zeros((), device=self._step.device)
        self._rehearse(self._take_unrecorded)
        self._begin_rehearsal()
        try:
            self._replay = record(self._body)
        except Exception as error:
            # The capture's end complains of its failure; what failed is the error before it.
            raise NotCapturableError(one_line(error.__context__ or error)) from error
        self._compare(self._rehearse(self.take), expected)

    def _body(self) -> None:
        for group, rates in zip(
            self._step.optimization.optimizer.param_groups, self._rates, strict=True
        ):
            group["lr"].copy_(rates.index_select(0, self._taken)[0])
        self._step.move_weights()
        self._taken.add_(1)

    def _take_unrecorded(self, count: int) -> None:
        # On a stream of its own, as PyTorch's notes on CUDA graphs ask for before a capture.
        if self._step.device.type != "cuda":
            return self._repeat_body(count)
        stream = torch.cuda.Stream(self._step.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._step.device))
        with torch.cuda.stream(stream):
            self._repeat_body(count)
        torch.cuda.current_stream(self._step.device).wait_stream(stream)
        return None

    def _repeat_body(self, count: int) -> None:
        for _ in range(count):
            self._body()

    def _rehearse(self, take: Callable[[int], None]) -> list[torch.Tensor]:
        """Take a few steps, always the same ones; return the weights, and put all back."""
        self._begin_rehearsal()
        take(self._steps)
        weights = [parameter.detach().clone() for parameter in self._step.model.parameters()]
        self._rewind()
        return weights

    def _begin_rehearsal(self) -> None:
        seed_everything(0)
        self._step.model.train()
        self._step.begin_epoch(0, 0)

    @torch.no_grad()
    def _rewind(self) -> None:
        """Put the training's state back in place: a graph writes to the tensors it captured."""
        step, before = self._step, self._before
        step.restore_weights(before)
        self._taken.fill_(step.steps_taken)
        saved = before["optimizer"]["state"]
        for key, values in _optimizer_tensors(step.optimization.optimizer):
            for name, value in values.items():
                if key in saved:
                    value.copy_(saved[key][name])
                else:
                    value.zero_()

    def _compare(self, replayed: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
        before = [self._before["model"][name] for name, _ in self._step.model.named_parameters()]
        difference, movement = _distance(replayed, expected), _distance(before, expected)
        if not difference <= TOLERANCE * movement:
            raise NotCapturableError(
                f"after {self._steps} steps its replays are {difference:.2g} away from where eager "
                f"steps lead, which is {movement:.2g} away from the start"
            )


def _optimizer_tensors(
    optimizer: torch.optim.Optimizer,
) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """The optimiser's state by the number that its state_dict gives a parameter."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(parameters):
        state: dict[str, Any] = optimizer.state.get(parameter, {})
        yield number, {name: v for name, v in state.items() if isinstance(v, torch.Tensor)}


def _distance(left: list[torch.Tensor], right: list[torch.Tensor]) -> float:
    differences = torch._foreach_sub(left, right)
    return float(torch.stack(torch._foreach_norm(differences)).double().norm())
