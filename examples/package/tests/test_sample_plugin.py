"""What the package promises, tested where it and ``benchmark`` are installed."""

import subprocess
import sys

import sample_plugin
import torch


def test_the_model_maps_images_to_logits():
    model = sample_plugin.build_linear((3, 8, 8), 10)
    assert model(torch.zeros(4, 3, 8, 8)).shape == (4, 10)


def test_benchmark_finds_the_model_and_can_train_it():
    command = [sys.executable, "-m", "benchmark", "show", "sample_linear"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "30,730" in shown.stdout
