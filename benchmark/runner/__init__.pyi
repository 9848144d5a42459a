from .runner import (
    Outcome as Outcome,
    PreparedRun as PreparedRun,
    carry_out as carry_out,
    prepare as prepare,
)
