"""Blocks of all contenders in turn, so that a drift of the machine's speed hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence


def orders(names: Sequence[str], repeats: int) -> Iterator[list[str]]:
    """Who comes when: in each repeat all, and in each another first."""
    for repeat in range(repeats):
        first = repeat % len(names)
        yield [*names[first:], *names[:first]]


def interleave(
    blocks: Mapping[str, Callable[[], float]],
    repeats: int,
    say: Callable[[str], None],
) -> dict[str, list[float]]:
    """Have everyone train a block in each repeat; returns everyone's seconds, a value a repeat."""
    seconds: dict[str, list[float]] = {name: [] for name in blocks}
    for repeat, order in enumerate(orders([*blocks], repeats), start=1):
        for name in order:
            seconds[name].append(blocks[name]())
        figures = ", ".join(f"{name} {seconds[name][-1]:.2f} s" for name in blocks)
        say(f"repeat {repeat} of {repeats}: {figures}")
    return seconds
