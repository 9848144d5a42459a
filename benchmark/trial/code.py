"""Whether this process has the code that a trial is to be trained with."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from benchmark.catalog import (
    Catalog,
    code_identity,
    core_identity,
    core_on_disk,
    dataset_identity,
    plugin_origin,
    variant_identity,
)
from benchmark.errors import OtherCodeError, UnknownNameError
from benchmark.specs import TrialSpec


def require_same_code(spec: TrialSpec, catalog: Catalog) -> None:
    """Raise OtherCodeError if the trial's code is not here what it was when the run began."""
    differences = [
        f"{name} is {here}, not {wanted}" if here else f"{name} is missing"
        for name, here, wanted in _identities(spec, catalog)
        if here != wanted
    ]
    if differences:
        raise OtherCodeError(
            f"{socket.gethostname()} has other code than the run began with "
            f"({'; '.join(differences)}); make it the same, or give the command again"
        )


def with_origins_here(spec: TrialSpec, catalog: Catalog) -> TrialSpec:
    """The same trial with the versions of libraries that are installed here."""
    variant = spec.variant
    origin = plugin_origin(catalog.models[variant.entry].plugin)
    return spec.model_copy(
        update={
            "variant": variant.model_copy(update={"origin": origin}),
            "recipe_origin": plugin_origin(catalog.recipes[spec.protocol.recipe.name].plugin),
        }
    )


def _core(wanted: str) -> str:
    """The core's identity: the wanted one, if it is also that of what has yet to be imported."""
    return next((here for here in (core_identity(), core_on_disk()) if here != wanted), wanted)


def _identities(spec: TrialSpec, catalog: Catalog) -> Iterator[tuple[str, str | None, str]]:
    """What the code is of; its identity here, None where it is not here; and the wanted one."""
    yield "benchmark", _core(spec.core), spec.core
    variant, protocol = spec.variant, spec.protocol
    model = catalog.models.offers.get(variant.entry)
    here = variant_identity(model.entry, model.plugin, variant.options) if model else None
    yield f"model {variant.entry!r}", here, variant.identity
    recipe = catalog.recipes.offers.get(protocol.recipe.name)
    here = code_identity(recipe.entry, recipe.plugin) if recipe else None
    yield f"recipe {protocol.recipe.name!r}", here, protocol.recipe.identity
    yield (
        f"data set {protocol.dataset.name!r}",
        _dataset_identity(spec, catalog),
        protocol.dataset.identity,
    )


def _dataset_identity(spec: TrialSpec, catalog: Catalog) -> str | None:
    """That of the data set and of those that it wraps, None where one of them is not here."""
    try:
        return dataset_identity(spec.dataset, catalog.datasets)
    except UnknownNameError:
        return None
