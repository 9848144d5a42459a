"""The built-in metrics, held to what scikit-learn and torchmetrics make of the same predictions."""

from __future__ import annotations

import numpy
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics
from torchmetrics.classification import MulticlassCalibrationError

from benchmark.catalog.shelves import load_catalog


def value(name: str, logits: torch.Tensor, labels: torch.Tensor) -> float:
    return float(load_catalog().metrics[name].entry.value(logits, labels))


@st.composite
def predictions(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of a few images to a few hundred, of which some classes may have none."""
    classes, images = draw(st.integers(2, 12)), draw(st.integers(1, 300))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = torch.randn(images, classes, generator=random) * draw(st.sampled_from([0.3, 1, 5]))
    known = draw(st.integers(1, classes))
    labels = torch.randint(0, known, (images,), generator=random)
    # Some models are good.
    logits[torch.arange(images), labels] += draw(st.sampled_from([0.0, 2.0]))
    return logits, labels


@settings(max_examples=50)
@given(predictions())
def test_metrics_of_classes_are_those_of_scikit_learn(
    made: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, labels = made
    truth, given_class = labels.numpy(), logits.argmax(1).numpy()
    present = numpy.unique(truth)
    recalls = metrics.recall_score(truth, given_class, labels=present, average=None)
    expected = {
        "accuracy": metrics.accuracy_score(truth, given_class),
        "balanced_accuracy": recalls.mean(),
        "worst_class_accuracy": recalls.min(),
        "macro_f1": metrics.f1_score(truth, given_class, average="macro", zero_division=0),
    }
    for name, wanted in expected.items():
        assert value(name, logits, labels) == pytest.approx(wanted, abs=1e-12), name


@settings(max_examples=50)
@given(predictions())
def test_metrics_of_probabilities_are_those_of_scikit_learn_and_torchmetrics(
    made: tuple[torch.Tensor, torch.Tensor],
) -> None:
    logits, labels = made
    classes = logits.shape[1]
    everything = numpy.arange(classes)
    probabilities = logits.double().softmax(1)
    assert value("negative_log_likelihood", logits, labels) == pytest.approx(
        metrics.log_loss(labels.numpy(), probabilities.numpy(), labels=everything), rel=1e-6
    )
    theirs = MulticlassCalibrationError(classes, n_bins=15, norm="l1")(probabilities, labels)
    assert value("calibration_error", logits, labels) == pytest.approx(float(theirs), abs=1e-6)
    if classes > 5:
        top5 = metrics.top_k_accuracy_score(labels.numpy(), logits.numpy(), k=5, labels=everything)
        assert value("top5_accuracy", logits, labels) == pytest.approx(top5)
    else:
        assert value("top5_accuracy", logits, labels) == 1.0


def test_balanced_accuracy_of_a_majority_class_model_is_chance() -> None:
    labels = torch.tensor([0] * 90 + [1] * 10)
    logits = torch.tensor([[1.0, 0.0]]).repeat(100, 1)
    assert value("accuracy", logits, labels) == pytest.approx(0.9)
    assert value("balanced_accuracy", logits, labels) == pytest.approx(0.5)
    assert value("worst_class_accuracy", logits, labels) == 0.0
    assert value("macro_f1", logits, labels) == pytest.approx(0.9 / 1.9)
