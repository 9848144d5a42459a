from .ahead import get_ready as get_ready
from .findings import (
    record_lost_trial as record_lost_trial,
    stage as stage,
)
from .fitting import (
    first_logits as first_logits,
    fit_for_training as fit_for_training,
)
from .kept_model import (
    KeptModel as KeptModel,
    load_kept_model as load_kept_model,
)
from .measuring import Measures as Measures
from .model import (
    build_model as build_model,
    try_to_count_macs as try_to_count_macs,
    try_to_list_layers as try_to_list_layers,
)
from .running import (
    run_trial as run_trial,
    trial_checkpoints as trial_checkpoints,
)
from .trackers import Trackers as Trackers
