"""A whole training step captured as one CUDA graph, so that the host only says "again".

Capturing bakes what the host decides into the graph. So everything that changes from step to
step is read on the device: the images' order by a counter, the learning rate from a table. And a
graph is not believed before its replays have moved the weights as eager steps did.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy
import torch

from benchmark.errors import one_line
from benchmark.optimization import Optimization
from benchmark.training.seeds import seed_everything
from benchmark.training.state import restore, restore_weights, state_of
from benchmark.training.training import Training

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
    stream = torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph):
            body()
    finally:
        # A capture that fails leaves its own stream behind.
        torch.cuda.set_stream(stream)
    return graph.replay


class CapturedStep:
    """``step``, captured. Its weights, optimiser and average are left as they were.

    Raises NotCapturableError where capturing fails, or gives something else than eager steps.
    """

    def __init__(self, training: Training, record: Record = record_cuda_graph) -> None:
        self._training = training
        self._steps = min(REHEARSED_STEPS, training.steps_per_epoch)
        self._before = copy.deepcopy(state_of(training))
        self._taken = torch.tensor([training.steps_taken], device=training.device)
        self._rates = training.rates.table().to(training.device, torch.float32)
        self._factor = training.rates.factor
        try:
            self._capture(record)
        except BaseException:
            restore(training, self._before)
            raise
        del self._before

    def take(self, count: int) -> None:
        """Take the next ``count`` steps by replaying the graph."""
        rates = self._training.rates
        if rates.factor != self._factor:
            # In place: the graph knows the table's address.
            self._rates.copy_(rates.table())
            self._factor = rates.factor
        for _ in range(count):
            self._replay()
        self._training.steps_taken += count

    def _capture(self, record: Record) -> None:
        expected = self._rehearse(self._take_eagerly)
        try:
            self._prepare_optimizers()
            self._rehearse(self._take_unrecorded)
            self._begin_rehearsal()
            self._replay = record(self._body)
        except NotCapturableError:
            raise
        except Exception as error:
            # Ending the capture raises, too; what failed is the error before it.
            raise NotCapturableError(one_line(error.__context__ or error)) from error
        self._compare(self._rehearse(self.take), expected)

    def _prepare_optimizers(self) -> None:
        """Have the optimisers keep all that a step reads on the device."""
        for group in self._training.optimization.groups:
            group["lr"] = torch.zeros((), device=self._training.device)
            if "capturable" in group:
                group["capturable"] = True
        for optimizer in self._training.optimization.optimizers:
            for parameter, state in optimizer.state.items():
                for name, value in state.items():
                    if isinstance(value, torch.Tensor):
                        state[name] = value.to(parameter.device)

    def _body(self) -> None:
        for group, rates in zip(self._training.optimization.groups, self._rates, strict=True):
            group["lr"].copy_(rates.index_select(0, self._taken)[0])
        self._training.move_weights()
        self._taken.add_(1)

    def _take_eagerly(self, count: int) -> None:
        """Take steps as they are, and find numbers that a graph would hold as they are."""
        self._training.take(1)
        first = _host_numbers(self._training.optimization)
        self._training.take(count - 1)
        last = _host_numbers(self._training.optimization)
        changed = {
            name
            for (place, name), number in last.items()
            if number != first.get((place, name), number)
        }
        if changed:
            raise NotCapturableError(
                f"an optimiser counts on the host, in {', '.join(sorted(changed))}"
            )

    def _take_unrecorded(self, count: int) -> None:
        """Take steps as they will be captured, and find what a graph could not do."""
        before = self._host_draws()
        if self._training.device.type == "cuda":
            self._take_on_a_side_stream(count)
        else:
            self._repeat_body(count)
        if self._host_draws() != before:
            raise NotCapturableError("a step draws random numbers on the host")

    def _take_on_a_side_stream(self, count: int) -> None:
        # As PyTorch's notes on CUDA graphs ask for before a capture.
        stream = torch.cuda.Stream(self._training.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(self._training.device))
        try:
            with torch.cuda.stream(stream):
                self._repeat_body(1)
                # A capture that fails leaves PyTorch's generator and allocator in disorder, so
                # what would make it fail is found before. The first step may set libraries up.
                with _waiting_for_the_device_raises():
                    self._repeat_body(count - 1)
        finally:
            torch.cuda.current_stream(self._training.device).wait_stream(stream)

    def _repeat_body(self, count: int) -> None:
        for _ in range(count):
            self._body()

    def _host_draws(self) -> list[Any]:
        """Where the host's generators stand; of a CPU's training torch's is the device's own."""
        states: list[Any] = [random.getstate(), str(numpy.random.get_state())]
        if self._training.device.type != "cpu":
            states.append(torch.get_rng_state().numpy().tobytes())
        return states

    def _rehearse(self, take: Callable[[int], None]) -> dict[str, list[torch.Tensor]]:
        """Take a few steps, always the same ones; return where they led, and put all back."""
        self._begin_rehearsal()
        take(self._steps)
        reached = {
            part: [tensor.clone() for tensor in tensors] for part, tensors in self._parts().items()
        }
        self._rewind()
        return reached

    def _parts(self) -> dict[str, list[torch.Tensor]]:
        """What steps move, apart where one may move by far less than another."""
        model, average = self._training.model, self._training.average
        weights = dict(model.named_parameters())
        parts = {"weights": [weight.detach() for weight in weights.values()]}
        averages = {} if average is None else average.values
        if averages:
            parts["averaged weights"] = [averages[name] for name in averages if name in weights]
        parts |= {name: [buffer] for name, buffer in model.named_buffers()}
        buffers = averages.keys() - weights.keys()
        return parts | {f"the average of {name}": [averages[name]] for name in sorted(buffers)}

    def _begin_rehearsal(self) -> None:
        seed_everything(0)
        self._training.begin_epoch(0, 0)

    @torch.no_grad()
    def _rewind(self) -> None:
        """Put the training's state back in place: a graph writes to the tensors it captured."""
        training, before = self._training, self._before
        restore_weights(training, before)
        self._taken.fill_(training.steps_taken)
        optimizers = training.optimization.optimizers
        for optimizer, saved in zip(optimizers, before["optimizers"], strict=True):
            for key, values in _optimizer_tensors(optimizer):
                for name, value in values.items():
                    earlier = saved["state"].get(key, {}).get(name)
                    value.zero_() if earlier is None else value.copy_(earlier)

    def _compare(
        self, replayed: Mapping[str, list[torch.Tensor]], expected: Mapping[str, list[torch.Tensor]]
    ) -> None:
        before = self._parts()
        for part, wanted in expected.items():
            # A buffer may be empty before the first step, and in replays that write elsewhere.
            nothing = [torch.zeros_like(tensor) for tensor in wanted]
            difference = _distance(replayed.get(part, nothing), wanted)
            movement = _distance(before.get(part, nothing), wanted)
            if not difference <= TOLERANCE * movement:
                raise NotCapturableError(
                    f"after {self._steps} steps its replays have {part} {difference:.2g} away from "
                    f"where eager steps lead, which is {movement:.2g} away from the start"
                )


@contextmanager
def _waiting_for_the_device_raises() -> Iterator[None]:
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        # It warns that it does not see every wait; the capture would.
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _host_numbers(optimization: Optimization) -> dict[tuple[int, str], float]:
    """The numbers that optimisers keep for groups and parameters, but for learning rates."""
    kept: list[dict[str, Any]] = optimization.groups
    for optimizer in optimization.optimizers:
        kept += optimizer.state.values()
    return {
        (id(values), name): value
        for values in kept
        for name, value in values.items()
        if isinstance(value, int | float) and name != "lr"
    }


def _optimizer_tensors(
    optimizer: torch.optim.Optimizer,
) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
    """The optimiser's state by the number that its state_dict gives a parameter."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(parameters):
        state: dict[str, Any] = optimizer.state.get(parameter, {})
        yield number, {name: v for name, v in state.items() if isinstance(v, torch.Tensor)}


def _distance(left: list[torch.Tensor], right: list[torch.Tensor]) -> float:
    pairs = zip(left, right, strict=True)
    return float(torch.stack([(a.double() - b.double()).norm() for a, b in pairs]).norm())
