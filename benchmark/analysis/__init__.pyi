from .changes import accuracy_change as accuracy_change
from .compared import (
    ComparedGroup as ComparedGroup,
    ComparedRow as ComparedRow,
    best_of as best_of,
    compared_group as compared_group,
)
from .comparison import (
    DOUBTS as DOUBTS,
    Doubt as Doubt,
    outcomes_difference as outcomes_difference,
    outcomes_interval as outcomes_interval,
)
from .contender import (
    Contender as Contender,
    by_protocol as by_protocol,
    contender_of as contender_of,
)
from .devices import device_text as device_text
from .enough import (
    CONFIDENCE as CONFIDENCE,
    Decision as Decision,
    decide as decide,
    look_confidence as look_confidence,
    planned_looks as planned_looks,
)
from .evaluated import (
    EvaluatedRow as EvaluatedRow,
    Relation as Relation,
    evaluated_row as evaluated_row,
)
from .gates import (
    Gate as Gate,
    Verdict as Verdict,
    exit_code as exit_code,
    judge as judge,
    judge_rows as judge_rows,
    parse_gate as parse_gate,
)
from .outcomes import Outcomes as Outcomes
from .power import seeds_needed as seeds_needed
from .protocols import (
    has_same_images as has_same_images,
    protocol_differences as protocol_differences,
)
from .ranks import rank_ranges as rank_ranges
from .standings import Standings as Standings
from .summary import summarize as summarize
