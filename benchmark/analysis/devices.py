"""What trials were trained on, in words, and whether their times can be compared."""

from __future__ import annotations

from benchmark.records import (
    Machine,
    TrialRecord,
)


def device_text(device: str, machine: Machine) -> str:
    """A device, and what it is as far as that is known."""
    kind, _, number = device.partition(":")
    if kind == "cuda":
        index = int(number) if number.isdecimal() else 0
        facts: list[str | None] = [gpu.name for gpu in machine.gpus[index : index + 1]]
    else:
        threads = "1 thread" if machine.threads == 1 else f"{machine.threads} threads"
        facts = [machine.processor, threads if machine.threads else None]
    known = ", ".join(fact for fact in facts if fact)
    return f"{device} ({known})" if known else device


def kind_of_device(record: TrialRecord) -> str:
    """The same of a trial's device, whichever of several alike it was."""
    kind, _, number = record.device.partition(":")
    return device_text(record.device, record.environment).replace(f"{kind}:{number}", kind, 1)
