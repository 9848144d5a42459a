from .comparison import (
    DOUBTS as DOUBTS,
    Doubt as Doubt,
    outcomes_difference as outcomes_difference,
    outcomes_interval as outcomes_interval,
)
from .enough import (
    CONFIDENCE as CONFIDENCE,
    Decision as Decision,
    decide as decide,
    look_confidence as look_confidence,
    planned_looks as planned_looks,
    run_confidence as run_confidence,
)
from .outcomes import Outcomes as Outcomes
from .power import seeds_needed as seeds_needed
from .ranks import rank_ranges as rank_ranges
from .standings import Standings as Standings
from .summary import summarize as summarize
