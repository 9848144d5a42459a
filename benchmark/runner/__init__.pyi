from .runner import (
    Outcome as Outcome,
    Run as Run,
    carry_out as carry_out,
    prepare as prepare,
)
