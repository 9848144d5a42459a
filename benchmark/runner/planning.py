"""From a config to what is to be trained: the protocol, the variants, the trials."""

from __future__ import annotations

from pathlib import Path

import numpy

from benchmark.catalog import (
    Catalog,
    code_identity,
    core_identity,
    dataset_identity,
    plugin_origin,
    variant_identity,
)
from benchmark.config import ChosenModel, RunConfig, SeedsUntil, control_of, control_seeds
from benchmark.datasets import Dataset, TrialImages, trial_images, validation_size
from benchmark.errors import BenchmarkError
from benchmark.protocol import (
    DatasetRecord,
    Duplicates,
    Protocol,
    RecipeRecord,
)
from benchmark.specs import (
    PlannedVariant,
    TrialKey,
    TrialSpec,
    Variant,
)
from benchmark.store import RunDescription, RunDirectory


def plan_variants(config: RunConfig, catalog: Catalog) -> tuple[PlannedVariant, ...]:
    """The config's models as their code is now, and its control, with all seeds there may be."""
    seeds = config.seeds
    if isinstance(seeds, SeedsUntil):
        seeds = tuple(range(seeds.until))
    variants = [_variant(model, seeds, catalog) for model in config.models]
    if config.control:
        first = config.models[0]
        control = _variant(control_of(first), control_seeds(seeds), catalog)
        variants.append(control.model_copy(update={"control_of": first.label}))
    return tuple(variants)


def plan_trials(
    description: RunDescription,
    catalog: Catalog,
    *,
    dataset: Dataset,
    device: str,
    data_directory: Path,
    directory: RunDirectory,
    plugins: tuple[str, ...],
) -> tuple[TrialSpec, ...]:
    """The trials of a run, seed by seed: a drift of the machine's speed hits all models alike."""
    config, protocol = description.config, description.protocol
    recipe_origin = plugin_origin(catalog.recipes[protocol.recipe.name].plugin)

    def spec(variant: PlannedVariant, seed: int) -> TrialSpec:
        key = TrialKey(variant.model, variant.identity, seed)
        return TrialSpec(
            variant=Variant(**dict(variant)),
            recipe_origin=recipe_origin,
            seed=seed,
            protocol=protocol,
            dataset=dataset.selection,
            verified=dataset.verified,
            device=device,
            engine=config.engine,
            compile=config.compile,
            checkpoint_every=config.checkpoint_every,
            keep_weights=config.keep_weights,
            metrics=config.metrics,
            trackers=config.trackers,
            data_directory=data_directory,
            directory=directory.trial_directory(key).absolute(),
            plugins=plugins,
            core=core_identity(),
        )

    by_seed = zip(*(variant.seeds for variant in description.variants), strict=True)
    return tuple(
        spec(variant, seed)
        for seeds in by_seed
        for variant, seed in zip(description.variants, seeds, strict=True)
    )


def _variant(model: ChosenModel, seeds: tuple[int, ...], catalog: Catalog) -> PlannedVariant:
    offer = catalog.models[model.name]
    return PlannedVariant(
        model=model.label,
        entry=model.name,
        options=model.options,
        identity=variant_identity(offer.entry, offer.plugin, model.options),
        origin=plugin_origin(offer.plugin),
        seeds=seeds,
    )


def plan_protocol(
    config: RunConfig, dataset: Dataset, images: TrialImages, precision: str, catalog: Catalog
) -> Protocol:
    """All that must be equal for rows to be compared.

    Raises BenchmarkError for a batch larger than the training set.
    """
    train_images = len(images.train.labels)
    if not train_images:
        raise BenchmarkError(
            "no training image is left: all of them are also among the images to judge by; "
            "duplicates: keep trains on them all the same"
        )
    if config.batch_size > train_images:
        raise BenchmarkError(
            f"batch_size {config.batch_size} is larger than the training set "
            f"({train_images} images); give {train_images} or less"
        )
    recipe = catalog.recipes[config.recipe.name]
    return Protocol(
        dataset=_dataset_record(config, dataset, images, catalog),
        recipe=RecipeRecord(
            **dict(config.recipe), identity=code_identity(recipe.entry, recipe.plugin)
        ),
        epochs=config.epochs,
        batch_size=config.batch_size,
        steps_per_epoch=train_images // config.batch_size,
        precision=precision,
    )


def _dataset_record(
    config: RunConfig, dataset: Dataset, images: TrialImages, catalog: Catalog
) -> DatasetRecord:
    judging = images.test or images.validation
    assert judging is not None
    channels, height, width = images.train.pixels.shape[1:]
    counts = numpy.bincount(judging.labels, minlength=len(images.classes))
    return DatasetRecord(
        name=dataset.selection.name,
        identity=dataset_identity(dataset.selection, catalog.datasets),
        fingerprint=dataset.fingerprint,
        train_images=len(images.train.labels),
        validation_images=len(images.validation.labels) if images.validation else None,
        test_images=len(images.test.labels) if images.test else 0,
        classes=len(images.classes),
        duplicates="drop" if _duplicates(config, dataset) == "drop" else None,
        image=(channels, height, width),
        class_counts=tuple(counts.tolist()),
    )


def plan_images(config: RunConfig, dataset: Dataset) -> TrialImages:
    """The images that the config's trials see.

    Raises BenchmarkError where so many cannot be held out, where the data set holds images out
    itself, and where there would be none to judge by.
    """
    splits, validation = dataset.splits, config.validation
    if validation is not None and splits.validation is not None:
        raise BenchmarkError(
            f"validation: the data set {dataset.selection.name!r} holds "
            f"{len(splits.validation.labels):,} images out itself; leave validation out"
        )
    if not config.test and validation is None and splits.validation is None:
        raise BenchmarkError(
            "test: false leaves no images to judge by; hold some out, as with validation: 0.1"
        )
    if validation is not None:
        validation = validation_size(validation, len(splits.train.labels))
    return trial_images(
        splits,
        validation=validation,
        duplicates=_duplicates(config, dataset),
        train_images=config.train_images,
        test_images=config.test_images if config.test else 0,
    )


def _duplicates(config: RunConfig, dataset: Dataset) -> Duplicates:
    """What the config says becomes of duplicates in this one of its data sets."""
    wanted = dataset.selection
    chosen = (c for c in config.dataset if c.name == wanted.name and c.options == wanted.options)
    return next(chosen).duplicates
