"""What differs between protocols, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmark.protocol import Protocol

# As many digits of a digest as tell it from others.
SHORT_DIGEST = 8


def protocol_differences(protocols: Sequence[Protocol]) -> list[str]:
    """What is not the same in all of them, each as ``epochs 5 and 50``."""
    return [
        f"{name} {' and '.join(values)}"
        for name, values in _facts(protocols)
        if len(set(values)) > 1
    ]


def has_same_images(a: Protocol, b: Protocol) -> bool:
    """Whether models were judged by the same images, in the same order."""
    return _judging_images(a) == _judging_images(b)


def _judging_images(protocol: Protocol) -> tuple[str, str, int]:
    dataset = protocol.dataset
    return dataset.fingerprint, dataset.judged_by, dataset.judging_images


def _facts(protocols: Sequence[Protocol]) -> Iterator[tuple[str, list[str]]]:
    """What each says of each thing, once for each that says the same."""

    def said(fact: Callable[[Protocol], Any]) -> list[str]:
        return [*dict.fromkeys(str(fact(protocol)) for protocol in protocols)]

    yield "dataset", said(lambda p: p.dataset.name)
    yield "dataset fingerprint", said(lambda p: p.dataset.fingerprint[:SHORT_DIGEST])
    yield "identity of the dataset's code", said(lambda p: p.dataset.identity[:SHORT_DIGEST])
    yield "training images", said(_train_images)
    yield "validation images", said(lambda p: f"{p.dataset.validation_images or 0:,}")
    yield "duplicates", said(lambda p: p.dataset.duplicates or "keep")
    yield "test images", said(lambda p: f"{p.dataset.test_images:,}")
    yield "classes", said(lambda p: p.dataset.classes)
    yield "recipe", said(lambda p: p.recipe.name)
    if len(said(lambda p: p.recipe.name)) == 1:
        names = dict.fromkeys(name for p in protocols for name in p.recipe.options)
        for name in names:
            yield f"recipe {name}", said(partial(_option, name))
        yield "identity of the recipe's code", said(lambda p: p.recipe.identity[:SHORT_DIGEST])
    yield "epochs", said(lambda p: p.epochs)
    yield "batch size", said(_batch_size)
    if all(len(said(fact)) == 1 for fact in (_train_images, _batch_size)):
        yield "steps an epoch", said(lambda p: p.steps_per_epoch)
    yield "precision", said(lambda p: p.precision)


def _option(name: str, protocol: Protocol) -> Any:
    return protocol.recipe.options.get(name, "not set")


def _train_images(protocol: Protocol) -> str:
    return f"{protocol.dataset.train_images:,}"


def _batch_size(protocol: Protocol) -> int:
    return protocol.batch_size
