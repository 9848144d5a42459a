from .api import (
    open_run as open_run,
    run as run,
)
from .entries import (
    Column as Column,
    DatasetEntry as DatasetEntry,
    Executor as Executor,
    ExecutorEntry as ExecutorEntry,
    Images as Images,
    ImageSplits as ImageSplits,
    MetricEntry as MetricEntry,
    ModelEntry as ModelEntry,
    Options as Options,
    RecipeEntry as RecipeEntry,
    Tracker as Tracker,
    TrackerEntry as TrackerEntry,
    TrainingPlan as TrainingPlan,
)
from .errors import (
    BenchmarkError as BenchmarkError,
    CaptureError as CaptureError,
    CheckpointError as CheckpointError,
    DatasetError as DatasetError,
    DatasetUnavailableError as DatasetUnavailableError,
    StoreError as StoreError,
    system_fault as system_fault,
)
from .events import (
    TrialEvent as TrialEvent,
    TrialProgress as TrialProgress,
    TrialStart as TrialStart,
)
from .files import (
    is_read_only as is_read_only,
    usable_folder as usable_folder,
)
from .hookspecs import hookimpl as hookimpl
from .kept_files import KeptFile as KeptFile
from .optimization import (
    Augmentation as Augmentation,
    EpochFigures as EpochFigures,
    Normalization as Normalization,
    Optimization as Optimization,
    Transform as Transform,
)
from .printable import three_digits as three_digits
from .progress import (
    announce as announce,
    track as track,
)
from .protocol import (
    ChosenDataset as ChosenDataset,
    DatasetRecord as DatasetRecord,
    Duplicates as Duplicates,
    Protocol as Protocol,
    RecipeRecord as RecipeRecord,
    Selection as Selection,
)
from .records import (
    EpochRecord as EpochRecord,
    Machine as Machine,
    MetricFigure as MetricFigure,
    ParameterCount as ParameterCount,
    Status as Status,
    Timing as Timing,
    TrialRecord as TrialRecord,
)
from .report import (
    Comparison as Comparison,
    Evaluations as Evaluations,
    RunTable as RunTable,
)
from .running_clock import RunningClock as RunningClock
from .runs import Run as Run
from .specs import (
    FileState as FileState,
    Origin as Origin,
    PlannedVariant as PlannedVariant,
    TrialKey as TrialKey,
    TrialSpec as TrialSpec,
    Variant as Variant,
    VerifiedCache as VerifiedCache,
)
from .summaries import (
    NO_FIGURE as NO_FIGURE,
    Interval as Interval,
    ModelSummary as ModelSummary,
    RankRange as RankRange,
)
