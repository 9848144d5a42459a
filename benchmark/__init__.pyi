from .entries import (
    Augmentation as Augmentation,
    Callback as Callback,
    Column as Column,
    DatasetEntry as DatasetEntry,
    Executor as Executor,
    ExecutorEntry as ExecutorEntry,
    Images as Images,
    ImageSplits as ImageSplits,
    ModelEntry as ModelEntry,
    Optimization as Optimization,
    Options as Options,
    RecipeEntry as RecipeEntry,
    TrainingPlan as TrainingPlan,
)
from .errors import (
    BenchmarkError as BenchmarkError,
    CheckpointError as CheckpointError,
    DatasetError as DatasetError,
    DatasetUnavailableError as DatasetUnavailableError,
    ModelError as ModelError,
    PathError as PathError,
    StoreError as StoreError,
    system_fault as system_fault,
)
from .files import (
    is_read_only as is_read_only,
    usable_folder as usable_folder,
)
from .hookspecs import hookimpl as hookimpl
from .progress import (
    announce as announce,
    track as track,
)
from .records import (
    EpochRecord as EpochRecord,
    Machine as Machine,
    ParameterCount as ParameterCount,
    Protocol as Protocol,
    Status as Status,
    Timing as Timing,
    TrialEvent as TrialEvent,
    TrialProgress as TrialProgress,
    TrialRecord as TrialRecord,
    TrialSpec as TrialSpec,
    TrialStart as TrialStart,
)
from .running_clock import RunningClock as RunningClock
from .summaries import (
    MeanInterval as MeanInterval,
    ModelSummary as ModelSummary,
)
