from .comparison import (
    DOUBTS as DOUBTS,
    Doubt as Doubt,
    outcomes_difference as outcomes_difference,
    outcomes_interval as outcomes_interval,
)
from .outcomes import Outcomes as Outcomes
from .power import seeds_needed as seeds_needed
from .ranks import rank_ranges as rank_ranges
from .standings import Standings as Standings
from .summary import summarize as summarize
