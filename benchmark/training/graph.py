"""A whole training step captured as one graph, so that the host only says "again".

Capturing bakes what the host decides into the graph. So everything that changes from step to
step is read on the device: the images' order by a counter, the learning rate from a table. And a
graph is not believed before its replays have moved the weights as eager steps did.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy
import torch

from benchmark.errors import CaptureError, one_line
from benchmark.training.captured_optimizers import CapturedOptimizers
from benchmark.training.host_reads import HostReadsRaise, why_not_captured
from benchmark.training.model_state import own_generators
from benchmark.training.random_generators import generator_state
from benchmark.training.recording import (
    Record,
    Recording,
    record_cuda_graph,
    waiting_for_the_device_raises,
)
from benchmark.training.seeds import seed_everything
from benchmark.training.state import restore, restore_weights, state_of
from benchmark.training.training import Training

# As many as show what a host does from step to step: a counter of its own, a draw of its own.
REHEARSED_STEPS = 8
# Kernels that add in no fixed order differ by far less than a step; a baked constant by more.
TOLERANCE = 0.1
NOT_CAPTURED = "not captured as a graph"


class NotCapturableError(Exception):
    """A model, loss or optimiser that only eager steps train rightly; the text says why."""


class CapturedStep:
    """A training's step, captured. Weights, optimisers and average are left as they were.

    All that leads to the capture, and the capture, go to the current stream, one after another.

    Raises NotCapturableError where a step cannot be captured, or its replays lead elsewhere than
    eager steps; and CaptureError where that shows only in the capture itself, after which the
    process can train nothing more.
    """

    def __init__(self, training: Training, record: Record = record_cuda_graph) -> None:
        self._training = training
        self._steps = min(REHEARSED_STEPS, training.steps_per_epoch)
        self._before = copy.deepcopy(state_of(training))
        self._step_on_device = torch.tensor([training.steps_taken], device=training.device)
        self._rates = training.rates.table().to(training.device, torch.float32)
        self._factor = training.rates.factor
        self._optimizers = CapturedOptimizers(training.optimization.optimizers, training.device)
        try:
            self._recording = self._capture(record)
        except CaptureError:
            # Nothing can be put back any more.
            raise
        except BaseException:
            restore(training, self._before)
            raise
        del self._before

    @property
    def replayed_bytes(self) -> int:
        """Memory that a replay uses and PyTorch does not count as allocated."""
        return self._recording.replayed_bytes

    def take(self, count: int) -> None:
        """Take the next ``count`` steps by replaying the graph."""
        training, replay = self._training, self._recording.replay
        if training.rates.factor != self._factor:
            # In place: the graph knows the table's address.
            self._rates.copy_(training.rates.table())
            self._factor = training.rates.factor
        for _ in range(count):
            training.batches.provide()
            replay()
            training.steps_taken += 1

    def release(self) -> None:
        """Let go of the graph and its memory; no more steps can be taken."""
        self._recording.release()

    def _capture(self, record: Record) -> Recording:
        if reason := self._optimizers.reason_against():
            raise NotCapturableError(reason)
        expected = self._rehearse(self._take_eagerly)
        try:
            # The state of eager steps lies elsewhere, and may be of another form.
            self._begin_optimizers()
            self._take_from_other_weights()
            self._begin_optimizers()
            self._rehearse(self._take_unrecorded)
            self._begin_rehearsal()
            self._training.batches.provide()
        except NotCapturableError:
            raise
        except Exception as error:
            raise NotCapturableError(why_not_captured(error)) from error
        try:
            recording = record(self._body)
        except Exception as error:
            raise CaptureError(f"{NOT_CAPTURED}: {one_line(error)}") from error
        self._recording = recording
        try:
            self._compare(self._rehearse(self.take), expected)
        except BaseException:
            recording.release()
            raise
        return recording

    def _body(self) -> None:
        for group, rates in zip(self._optimizers.groups, self._rates, strict=True):
            group["lr"].copy_(rates.index_select(0, self._step_on_device)[0])
        self._training.move_weights()
        self._step_on_device.add_(1)

    def _take_eagerly(self, count: int) -> None:
        """Take steps as they are, and find numbers that a graph would hold as they are."""
        self._training.take(1)
        first = self._optimizers.host_numbers()
        self._training.take(count - 1)
        last = self._optimizers.host_numbers()
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
        """Take steps as they will be captured, and find what a graph could not do.

        A capture that fails leaves PyTorch in disorder, so what would make it fail is found before.
        """
        before = self._host_draws()
        with self._optimizers.first_values_noted():
            self._repeat_body(1)
        if self._training.device.type == "cuda":
            # Not in the first step, which may set libraries up.
            with waiting_for_the_device_raises():
                self._repeat_body(count - 1)
        else:
            self._repeat_body(count - 1)
        if self._host_draws() != before:
            raise NotCapturableError("a step draws random numbers on the host")

    def _reads_raise(self) -> AbstractContextManager[object]:
        # What is compiled is not compiled, or compiled anew, where calls are looked at.
        compiled = self._training.compiled
        return nullcontext() if compiled else HostReadsRaise(self._training.device)

    def _repeat_body(self, count: int) -> None:
        for _ in range(count):
            self._training.batches.provide()
            self._body()
            self._training.steps_taken += 1

    def _host_draws(self) -> list[Any]:
        """Where generators stand that no graph moves, or that it does not know.

        Of a CPU's training torch's own is the device's.
        """
        states: list[Any] = [random.getstate(), str(numpy.random.get_state())]
        if self._training.device.type != "cpu":
            states.append(torch.get_rng_state().numpy().tobytes())
        own = own_generators(self._training.model).values()
        return [*states, *(str(_plain(generator_state(generator))) for generator in own)]

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

    def _begin_optimizers(self) -> None:
        optimizers = self._training.optimization.optimizers
        for optimizer, saved in zip(optimizers, self._before["optimizers"], strict=True):
            # What is loaded is not copied, and would be changed by the next steps.
            optimizer.load_state_dict(copy.deepcopy(saved))
        self._optimizers.prepare()

    def _take_from_other_weights(self) -> None:
        """Take a first step by other gradients than those of the rehearsals, and a second one.

        The first may read on the host what an optimiser's state begins with.
        """
        self._begin_rehearsal()
        with torch.no_grad():
            for parameter in self._training.model.parameters():
                parameter.mul_(0.5)
        with self._optimizers.first_values_noted():
            self._repeat_body(1)
        self._rewind_weights()
        self._begin_rehearsal()
        with self._reads_raise():
            self._repeat_body(1)
        self._rewind_weights()

    def _begin_rehearsal(self) -> None:
        seed_everything(0)
        self._training.begin_epoch(0, 0)

    def _rewind(self) -> None:
        """Put the training's state back in place: a graph writes to the tensors it captured."""
        self._rewind_weights()
        self._optimizers.rewind(self._before["optimizers"])

    def _rewind_weights(self) -> None:
        restore_weights(self._training, self._before)
        self._step_on_device.fill_(self._training.steps_taken)

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


def _plain(state: Any) -> Any:
    return state.tolist() if isinstance(state, torch.Tensor) else state


def _distance(left: list[torch.Tensor], right: list[torch.Tensor]) -> float:
    pairs = zip(left, right, strict=True)
    return float(torch.stack([(_exact(a) - _exact(b)).norm() for a, b in pairs]).norm())


def _exact(tensor: torch.Tensor) -> torch.Tensor:
    """In 64 bits, and complex numbers in twice that."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float64))
