"""The recipes of examples/recipes, as plugins from outside: killed (SIGKILL), and resumed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support import killing
from tests.support.command_process import run
from tests.support.example_recipes import FOLDER, NAMES
from tests.support.sampling import sampled
from tests.support.trial_files import figures, trial_folder, trial_record

EPOCHS, STEPS = 5, 5
# The number of an optimiser's step, where there is not one for each of the training. By the third
# epoch the first one's checkpoint has been waited for.
IN_THE_THIRD_EPOCH = {"accumulated": 5, "two_optimizers": 4 * STEPS + 3}
CONFIG = f"""
name: outside
dataset: {{name: synthetic, train_images: 80, test_images: 20, size: 24}}
validation: 20
models: [MODEL]
epochs: {EPOCHS}
batch_size: 12
seeds: 1
precision: fp32
device: cpu
checkpoint_every: 1
executor: inline
"""


@pytest.mark.parametrize("name", sampled("example recipes to kill", NAMES, 2))
def test_a_recipe_from_outside_resumes_as_if_it_had_not_been_killed(name: str) -> None:
    model = "two_heads" if name == "deep_supervision" else "separable_cnn"
    Path("outside.yaml").write_text(CONFIG.replace("MODEL", model))
    plugin = ("-p", str(FOLDER / f"{name}.py"), "-r", name)
    arguments = ("run", "outside.yaml", *plugin, *killing.CHOSEN)
    whole = run(*arguments, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    order = f"{model}/optimizer step/{IN_THE_THIRD_EPOCH.get(name, 2 * STEPS + 2)}"
    killed = run(*arguments, environment={killing.KILL: order})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run(*arguments)
    assert resumed.returncode == 0, resumed.stderr
    before, after = trial_record(model, out="whole"), trial_record(model)
    assert figures(after) == figures(before)
    assert (after["resumed"], after["warnings"]) == (1, [])
    digests = [
        (trial_folder(model, out=out) / killing.DIGEST).read_text() for out in ("whole", "runs")
    ]
    assert digests[0] == digests[1]
