"""What a trial is made of: images, the model, its training, what judges, keeps and watches it."""

from __future__ import annotations

import torch
from torch import nn

from benchmark.catalog import Catalog
from benchmark.complexity import FEWEST_IMAGES, count_parameters
from benchmark.datasets import TrialImages, load_dataset, trial_images
from benchmark.entries import TrainingPlan
from benchmark.errors import BenchmarkError
from benchmark.optimization import Optimization
from benchmark.specs import TrialSpec
from benchmark.training import (
    EVALUATION_BATCH,
    INITIAL_WEIGHTS,
    EvaluationBatches,
    ResidentImages,
    Training,
    require_room,
    seed_everything,
)
from benchmark.trial.findings import Findings
from benchmark.trial.fitting import fit_for_training
from benchmark.trial.judging import Judge
from benchmark.trial.keeping import WeightsKeeper
from benchmark.trial.measuring import Measures
from benchmark.trial.model import build_model, try_to_count_macs
from benchmark.trial.watching import ModelWatch


def prepare(
    spec: TrialSpec, catalog: Catalog, findings: Findings
) -> tuple[Training, Judge, WeightsKeeper, ModelWatch]:
    """Load the images, build the model and have the recipe configure its training.

    Raises BenchmarkError where the images have changed since the run began, and for a model or a
    recipe that is not what its entry promises.
    """
    require_room(spec.protocol.dataset, torch.device(spec.device))
    images = _load_images(spec, catalog)
    model = _prepare_model(spec, catalog, images, findings)
    device = torch.device(spec.device)
    watch = ModelWatch(model, _configure(spec, catalog, model), findings)
    training = Training(
        model,
        watch.watched(),
        ResidentImages(images.train, device),
        spec.protocol.batch_size,
        spec.protocol.precision,
        compiled=spec.compile,
        layout=findings.layout or "channels_last",
        logits=catalog.recipes[spec.protocol.recipe.name].entry.logits,
    )
    metrics = [catalog.metrics[name].entry for name in spec.metrics]
    judge = Judge(
        validation=None if images.validation is None else ResidentImages(images.validation, device),
        test=None if images.test is None else ResidentImages(images.test, device),
        epochs=spec.protocol.epochs,
        precision=spec.protocol.precision,
        prepare=training.prepare,
        measures=Measures(metrics, findings.warnings.append),
        # Large ones would take memory from those that the device is shared with.
        batches=EvaluationBatches(EVALUATION_BATCH if spec.shares_device else None),
    )
    input_shape = images.train.pixels.shape[1:]
    return (
        training,
        judge,
        WeightsKeeper(spec, input_shape, images.classes, training.normalization, findings),
        watch,
    )


def _load_images(spec: TrialSpec, catalog: Catalog) -> TrialImages:
    dataset = load_dataset(spec.dataset, catalog.datasets, spec.data_directory, spec.verified)
    wanted = spec.protocol.dataset
    if dataset.fingerprint != wanted.fingerprint:
        raise BenchmarkError(
            f"data set {wanted.name!r} has changed since the run began: "
            f"its fingerprint is {dataset.fingerprint[:12]}, not {wanted.fingerprint[:12]}"
        )
    return trial_images(
        dataset.splits,
        validation=wanted.validation_images,
        duplicates=wanted.duplicates or "keep",
        train_images=wanted.train_images,
        test_images=wanted.test_images,
    )


def _prepare_model(
    spec: TrialSpec, catalog: Catalog, images: TrialImages, findings: Findings
) -> nn.Module:
    input_shape = images.train.pixels.shape[1:]
    classes = len(images.classes)
    warn = findings.warnings.append
    # Built on the CPU, so that a seed gives the same initial weights on every device.
    seed_everything(spec.seed, INITIAL_WEIGHTS)
    variant = spec.variant
    offer = catalog.models[variant.entry]
    model = build_model(offer, variant.options, input_shape, classes, warn)
    findings.params = count_parameters(model)
    findings.macs = try_to_count_macs(model, input_shape, warn)
    batch = max(spec.protocol.batch_size, FEWEST_IMAGES)
    findings.layout = fit_for_training(
        model,
        torch.from_numpy(images.train.pixels[:batch]).float().div_(255),
        classes,
        device=torch.device(spec.device),
        precision=spec.protocol.precision,
        logits=catalog.recipes[spec.protocol.recipe.name].entry.logits,
        warn=warn,
    )
    return model


def _configure(spec: TrialSpec, catalog: Catalog, model: nn.Module) -> Optimization:
    protocol = spec.protocol
    recipe = catalog.recipes[protocol.recipe.name].entry
    plan = TrainingPlan(
        epochs=protocol.epochs,
        steps_per_epoch=protocol.steps_per_epoch,
        batch_size=protocol.batch_size,
        options=recipe.options.from_mapping(protocol.recipe.options),
        num_classes=protocol.dataset.classes,
    )
    optimization = recipe.configure(model, plan)
    if not isinstance(optimization, Optimization):
        raise BenchmarkError(
            f"recipe {recipe.name!r} gave a {type(optimization).__name__} "
            "where an Optimization is wanted"
        )
    if len(optimization.learning_rate_factors) != plan.total_steps:
        raise BenchmarkError(
            f"recipe {recipe.name!r} gave {len(optimization.learning_rate_factors)} learning rates "
            f"for {plan.total_steps} steps"
        )
    return optimization
