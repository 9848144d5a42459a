from .batches import PART_BYTES as PART_BYTES
from .checkpoint import (
    NONSENSE_FAULTS as NONSENSE_FAULTS,
    Checkpoints as Checkpoints,
    DamagedError as DamagedError,
    NotPlainError as NotPlainError,
    checkpoint_files as checkpoint_files,
    is_out_of_memory as is_out_of_memory,
    machine_conditions as machine_conditions,
    remove_checkpoints as remove_checkpoints,
    require_plain as require_plain,
    training_conditions as training_conditions,
)
from .checkpoint_content import (
    SavedTrial as SavedTrial,
    read_content as read_content,
    require_same_shapes as require_same_shapes,
    require_sound_optimizer as require_sound_optimizer,
)
from .checkpoint_writer import CheckpointWriter as CheckpointWriter
from .clock import (
    Clock as Clock,
    TimeAccount as TimeAccount,
)
from .data import (
    ResidentImages as ResidentImages,
    chosen as chosen,
    subset as subset,
)
from .device import (
    resolve_device as resolve_device,
    tuned as tuned,
)
from .dropout import (
    CheapDropout as CheapDropout,
    cheap_dropout as cheap_dropout,
)
from .engine import (
    Engine as Engine,
    check_engine as check_engine,
    started_engine as started_engine,
)
from .epoch_progress import EpochProgress as EpochProgress
from .evaluation import (
    Evaluation as Evaluation,
    Measure as Measure,
    evaluate as evaluate,
    measure_nothing as measure_nothing,
)
from .evaluation_batches import (
    EVALUATION_BATCH as EVALUATION_BATCH,
    EvaluationBatches as EvaluationBatches,
)
from .extra_state import UnsavedAttributes as UnsavedAttributes
from .image_memory import require_room as require_room
from .layout import (
    FORMATS as FORMATS,
    Layout as Layout,
    lay_out as lay_out,
    place as place,
)
from .loop import (
    DivergedError as DivergedError,
    Judgement as Judgement,
    phases as phases,
    train as train,
)
from .memory import (
    PeakMemory as PeakMemory,
    keep_freed_memory as keep_freed_memory,
)
from .model_state import (
    undone as undone,
    undone_but_for_new_parameters as undone_but_for_new_parameters,
)
from .moved_parameters import names_left_alone as names_left_alone
from .precision import (
    computing_in as computing_in,
    resolve_precision as resolve_precision,
)
from .preparation import (
    Preparation as Preparation,
    as_floats as as_floats,
)
from .seeds import (
    INITIAL_WEIGHTS as INITIAL_WEIGHTS,
    TRAINING as TRAINING,
    VALIDATION_STREAM as VALIDATION_STREAM,
    generator as generator,
    seed_everything as seed_everything,
)
from .slots import (
    Slot as Slot,
    tensor_slots as tensor_slots,
)
from .state import (
    MisfitError as MisfitError,
    check_fits as check_fits,
    restore as restore,
    state_of as state_of,
)
from .training import (
    Training as Training,
)
from .weights_file import (
    read_weights as read_weights,
    write_weights as write_weights,
)
