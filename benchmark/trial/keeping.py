"""What a trial keeps in its folder of the model that was evaluated: weights and predictions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from torch import nn

from benchmark.environment import core_version
from benchmark.errors import StoreError, system_fault
from benchmark.files import write_atomically, write_fault
from benchmark.kept_files import KeptFile, array_content
from benchmark.optimization import Normalization
from benchmark.records import (
    PREDICTIONS_FILE,
    WEIGHTS_FILE,
)
from benchmark.specs import TrialSpec
from benchmark.training import Evaluation, NotPlainError, write_weights
from benchmark.trial.findings import Findings

# Weights are kept as long as so much of the disk is left: records and checkpoints come first.
LEAST_SHARE_LEFT = 0.02
MOST_BYTES_LEFT = 2**30


NOT_KEPT = "its weights are not kept"


@dataclass(frozen=True)
class WeightsKeeper:
    """Keeps the weights that a trial's last evaluation was of, with what is needed to use them.

    What is kept is noted in ``findings``, and so is why nothing is.
    """

    spec: TrialSpec
    input_shape: tuple[int, int, int]
    classes: Sequence[str]
    normalization: Normalization | None
    findings: Findings

    def __call__(self, model: nn.Module, epoch: int) -> None:
        """Write the weights if it is the last epoch that has led to them."""
        if epoch == self.spec.protocol.epochs and self.spec.keep_weights:
            self._keep(model)

    def needed_bytes(self, model: nn.Module) -> int:
        """What a model's weights will take on the disk; none if they are not to be kept."""
        if not self.spec.keep_weights:
            return 0
        tensors = (*model.parameters(), *model.buffers())
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def _keep(self, model: nn.Module) -> None:
        folder = self.spec.directory
        file = folder / WEIGHTS_FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(folder)
            least = min(MOST_BYTES_LEFT, int(LEAST_SHARE_LEFT * disk.total))
            if disk.free - self.needed_bytes(model) < least:
                self._warn(f"only {disk.free / 2**20:,.0f} MiB are left on the disk of {folder}")
                return
            write_weights(file, model, self._metadata())
            self.findings.weights = KeptFile.of(file)
        except OSError as error:
            self._warn(f"{file}: cannot be written: {system_fault(error)}")
        except NotPlainError as error:
            self._warn(f"the model's extra state is not all plain data: {error}")
        except ValueError as error:
            self._warn(f"safetensors cannot store one of the model's tensors: {error}")

    def _warn(self, reason: str) -> None:
        self.findings.warnings.append(f"{NOT_KEPT}: {reason}")

    def _metadata(self) -> dict[str, str]:
        """What a file's reader needs to know of the weights; what is no text is JSON."""
        variant, normalization = self.spec.variant, self.normalization
        return {
            "label": variant.model,
            "entry": variant.entry,
            "identity": variant.identity,
            "options": json.dumps(variant.options),
            "seed": str(self.spec.seed),
            "input_shape": json.dumps(self.input_shape),
            "classes": json.dumps(list(self.classes)),
            "normalization": json.dumps(None if normalization is None else asdict(normalization)),
            "benchmark": core_version(),
        }


def keep_predictions(spec: TrialSpec, evaluation: Evaluation) -> KeptFile:
    """Write the class given to each image; raises StoreError where the disk refuses."""
    file = spec.directory / PREDICTIONS_FILE
    content = array_content(evaluation.predictions)
    try:
        spec.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(file, content)
    except OSError as error:
        raise StoreError(write_fault(file, error)) from error
    return KeptFile.of_bytes(content)
