"""Parts 7 and 11: each experiment of ``perf.experiments``, in turn with the step as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmark.training import tuned
from perf.built_in import MODELS
from perf.experiments.comparison import Steps, compare
from perf.experiments.compiled import Compiled
from perf.experiments.depthwise import DenseForm, NativeForm
from perf.experiments.flat_views import FlatViews
from perf.experiments.half_weights import HalfWeights
from perf.experiments.kept_logits import KeptLogits
from perf.experiments.seeds import SeedsAsBranches, SeedsInTurn
from perf.experiments.several_steps import SeveralSteps
from perf.experiments.step import Step, StepWorkload
from perf.gpu.jobs import GRAPHS_NEED_CUDA, Figures, Job, alone
from perf.gpu.options import Options

Make = Callable[[StepWorkload], Steps]

SECONDS = 45
# Inductor generates and compiles code for each new graph.
COMPILING_SECONDS = 100
# What any of them divides into.
MOST_STEPS_TOGETHER = 8


@dataclass(frozen=True)
class Experiment:
    """What is tried, on which models, by which recipe's optimiser, and against what."""

    name: str
    make: Make
    models: tuple[str, ...] = MODELS
    recipe: str = "adam"
    as_it_is: Make = Step
    seconds: float = SECONDS


def experiments() -> list[Experiment]:
    """All but the compiler, those first from which most is expected."""
    separable = ("separable_cnn",)
    together = [
        Experiment(f"{count} steps a graph", partial(SeveralSteps, together=count))
        for count in (2, 4, MOST_STEPS_TOGETHER)
    ]
    return [
        Experiment("depthwise by PyTorch's own kernel", NativeForm, separable),
        Experiment("depthwise as dense convolutions", DenseForm, separable),
        Experiment("bf16 copies of the weights once a step", HalfWeights),
        Experiment("averaging and clipping over flat views", FlatViews, recipe="sgd_onecycle"),
        Experiment("losses and hits once an epoch", KeptLogits),
        *together,
        Experiment("3 seeds as branches of a graph", SeedsAsBranches, as_it_is=SeedsInTurn),
    ]


def jobs(options: Options) -> Iterator[Job]:
    """A job for each experiment and model: some may spoil a process."""
    for experiment in experiments():
        yield from _jobs_of(experiment, options)


def compiled(options: Options) -> Iterator[Job]:
    """The compiler takes so long that it is a part of its own, the first to be cut off."""
    # On a CPU, where nothing is to be found out, without half a minute of compiling.
    backend = "inductor" if options.has_cuda else "eager"
    make = partial(Compiled, backend=backend)
    yield from _jobs_of(
        Experiment("torch.compile in the graph", make, seconds=COMPILING_SECONDS), options
    )


def _jobs_of(experiment: Experiment, options: Options) -> Iterator[Job]:
    for model in experiment.models:
        name = f"{experiment.name}, {model}"
        yield alone(name, experiment.seconds, partial(measure, options, experiment, model))


def measure(options: Options, experiment: Experiment, model: str) -> Figures:
    """The ratio of the experiment's epoch time to that of the step as it is."""
    with tuned(options.device, options.precision):
        workload = StepWorkload(
            model=model,
            device=options.device,
            recipe=experiment.recipe,
            batch_size=options.batch_size,
            steps=divisible(options.steps),
            precision=options.precision,
        )
        figures = compare(
            partial(experiment.make, workload),
            partial(experiment.as_it_is, workload),
            options.device,
            options.repeats,
        )
    reason = None if options.has_cuda else GRAPHS_NEED_CUDA
    return {**figures, "steps": workload.steps, "reason": reason}


def divisible(steps: int) -> int:
    """As many of ``steps`` as can be taken several at a time; so many at least."""
    return max(steps - steps % MOST_STEPS_TOGETHER, MOST_STEPS_TOGETHER)
