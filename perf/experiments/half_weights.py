"""bf16 copies of the weights, made once a step by one fused copy.

Autocast casts each weight by a kernel of its own, and its gradient back by another: 36 to 44 small
kernels a step. Here two copies of whole lists do it. The numbers are the same, bit for bit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from perf.experiments.step import Step

# Those whose weights autocast casts; normalisation layers keep theirs.
CAST_LAYERS = (nn.Conv2d, nn.Linear)


class HalfWeights(Step):
    """The model computes with copies in bf16; the optimiser moves what they are copies of."""

    def changed(self, model: nn.Module) -> nn.Module:
        """Make room for the copies."""
        self._originals = {
            f"{path}.{name}": parameter
            for path, layer in model.named_modules()
            if isinstance(layer, CAST_LAYERS)
            for name, parameter in layer.named_parameters()
        }
        # In fp32 there is nothing to gain, but it is carried out all the same.
        kind = torch.bfloat16 if self.workload.precision == "bf16" else torch.float32
        self._copies = {
            name: parameter.detach().to(kind, copy=True).requires_grad_()
            for name, parameter in self._originals.items()
        }
        return model

    def forward(self, pixels: Tensor) -> Tensor:
        """Copy the weights, and have the model compute with the copies."""
        with torch.no_grad():
            torch._foreach_copy_([*self._copies.values()], [*self._originals.values()])
        logits: Tensor = functional_call(self.model, self._copies, (pixels,))
        return logits

    def gather_gradients(self) -> None:
        """Copy the copies' gradients to the weights'."""
        halves = []
        for copy in self._copies.values():
            assert copy.grad is not None
            halves.append(copy.grad)
            copy.grad = None
        gradients = [torch.empty_like(weight) for weight in self._originals.values()]
        torch._foreach_copy_(gradients, halves)
        for weight, gradient in zip(self._originals.values(), gradients, strict=True):
            weight.grad = gradient
