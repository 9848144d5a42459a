"""Which of these models, trained the same way, is better, by how much, and at what cost?

This is the public face: what a plugin's author needs. It imports no torch.
"""

from benchmark.entries import (
    Augmentation,
    Callback,
    Column,
    DatasetEntry,
    Executor,
    ExecutorEntry,
    Images,
    ImageSplits,
    ModelEntry,
    Optimization,
    Options,
    RecipeEntry,
    TrainingPlan,
)
from benchmark.errors import BenchmarkError, DatasetError, DatasetUnavailableError
from benchmark.hookspecs import hookimpl
from benchmark.progress import announce, track

__all__ = [
    "Augmentation",
    "BenchmarkError",
    "Callback",
    "Column",
    "DatasetEntry",
    "DatasetError",
    "DatasetUnavailableError",
    "Executor",
    "ExecutorEntry",
    "ImageSplits",
    "Images",
    "ModelEntry",
    "Optimization",
    "Options",
    "RecipeEntry",
    "TrainingPlan",
    "announce",
    "hookimpl",
    "track",
]
