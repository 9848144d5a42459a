"""What a trial's model is judged by after each epoch, and when."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmark.training import (
    Evaluation,
    EvaluationBatches,
    Judgement,
    Measure,
    Preparation,
    ResidentImages,
    evaluate,
    measure_nothing,
)
from benchmark.trial.measuring import Measures


@dataclass(frozen=True)
class Judge:
    """Judges a model by the images held out, where there are such, and else by the test images.

    The test images are then looked at once, after the last of the ``epochs``; or never, where there
    are none.
    """

    validation: ResidentImages | None
    test: ResidentImages | None
    epochs: int
    precision: str
    prepare: Preparation
    measures: Measures
    batches: EvaluationBatches

    def __call__(self, model: nn.Module, epoch: int) -> Judgement:
        """Judge the model that an epoch has led to."""
        is_last = epoch == self.epochs
        final = self.measures.with_errors if is_last else measure_nothing
        validation = test = None
        if self.validation is not None:
            measure = final if is_last and self.test is None else self.measures.alone
            validation = self._evaluate(model, self.validation, measure)
        if self.test is not None and (is_last or self.validation is None):
            test = self._evaluate(model, self.test, final)
        return Judgement(validation, test)

    def _evaluate(self, model: nn.Module, images: ResidentImages, measure: Measure) -> Evaluation:
        return evaluate(model, images, self.precision, self.prepare, measure, self.batches)
