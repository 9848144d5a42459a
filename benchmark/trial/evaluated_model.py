"""A completed trial's model, shown to its trackers as it was evaluated."""

from __future__ import annotations

import torch

from benchmark.errors import PLUGIN_FAULTS, one_line
from benchmark.process_settings import settings_put_back
from benchmark.records import TrialRecord
from benchmark.specs import TrialSpec
from benchmark.training import Training, tuned
from benchmark.trial.findings import Findings
from benchmark.trial.trackers import Trackers


def show_evaluated_model(
    spec: TrialSpec,
    training: Training,
    record: TrialRecord,
    findings: Findings,
    trackers: Trackers,
) -> None:
    """Call ``on_trial_end`` while the model has the weights and statistics that were evaluated.

    They are put in place once more: to keep a copy would need memory during the training.
    """
    if not trackers.want("on_trial_end"):
        return
    try:
        with (
            settings_put_back(findings.note_changed_setting),
            tuned(torch.device(spec.device), spec.protocol.precision),
        ):
            # Lays out the images to calibrate on: a process that resumed only for the record has
            # trained no epoch.
            training.begin_epoch(spec.seed, spec.protocol.epochs)
            with training.evaluated_model() as model:
                model.eval()
                trackers.call("on_trial_end", record, model)
    except PLUGIN_FAULTS as error:
        findings.warnings.append(f"no tracker had on_trial_end called: {one_line(error)}")
