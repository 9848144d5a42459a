from .runner import (
    Outcome as Outcome,
    carry_out as carry_out,
    prepare as prepare,
)
