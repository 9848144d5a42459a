"""From a config to what is to be trained: the protocol, the variants, the trials."""

from __future__ import annotations

from pathlib import Path

from benchmark.catalog import (
    Catalog,
    code_identity,
    core_identity,
    dataset_identity,
    plugin_origin,
    variant_identity,
)
from benchmark.config import ChosenModel, RunConfig, SeedsUntil, control_of, control_seeds
from benchmark.datasets import Dataset
from benchmark.errors import BenchmarkError
from benchmark.records import (
    DatasetRecord,
    PlannedVariant,
    Protocol,
    RecipeRecord,
    Selection,
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
    dataset: Selection,
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
            dataset=dataset,
            device=device,
            engine=config.engine,
            compile=config.compile,
            checkpoint_every=config.checkpoint_every,
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
    config: RunConfig, dataset: Dataset, precision: str, catalog: Catalog
) -> Protocol:
    """All that must be equal for rows to be compared.

    Raises BenchmarkError for a batch larger than the training set.
    """
    train_images = _size(config.train_images, len(dataset.splits.train.labels))
    if config.batch_size > train_images:
        raise BenchmarkError(
            f"batch_size {config.batch_size} is larger than the training set "
            f"({train_images} images); give {train_images} or less"
        )
    recipe = catalog.recipes[config.recipe.name]
    return Protocol(
        dataset=DatasetRecord(
            name=dataset.selection.name,
            identity=dataset_identity(dataset.selection, catalog.datasets),
            fingerprint=dataset.fingerprint,
            train_images=train_images,
            test_images=_size(config.test_images, len(dataset.splits.test.labels)),
            classes=len(dataset.splits.classes),
        ),
        recipe=RecipeRecord(
            **dict(config.recipe), identity=code_identity(recipe.entry, recipe.plugin)
        ),
        epochs=config.epochs,
        batch_size=config.batch_size,
        steps_per_epoch=train_images // config.batch_size,
        precision=precision,
    )


def _size(wanted: int | None, available: int) -> int:
    return available if wanted is None else min(wanted, available)
