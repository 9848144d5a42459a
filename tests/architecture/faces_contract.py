"""A contract for import-linter: a room is imported by its face, and its face by others alone."""

from __future__ import annotations

from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

CORE = "benchmark"
# It names the module that it starts, as the script in setup.cfg does.
STARTER = "benchmark.__main__"


class FacesContract(Contract):
    """A room is a package of the core; its face is what its ``__init__`` hands out.

    From outside of a room nothing but its face is imported. From inside nothing is imported by way
    of the face, nor by way of the core's own, which is for plugins. The contract names no room, so
    that a new one is guarded from its first day.
    """

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find every import that goes past a face, or out by it and in again."""
        del verbose
        rooms = sorted(room for room in graph.find_children(CORE) if graph.find_children(room))
        breaches = [breach for room in rooms for breach in _past(graph, room)]
        breaches += [breach for package in (CORE, *rooms) for breach in _roundabout(graph, package)]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that break it, and what to import instead."""
        for breach in check.metadata["breaches"]:
            output.print_error(f"- {breach}")


def _past(graph: ImportGraph, room: str) -> Iterator[str]:
    """The imports from outside of a room that go past its face."""
    inside = graph.find_descendants(room)
    allowed = inside | {room, STARTER}
    for module in sorted(inside):
        for importer in sorted(graph.find_modules_that_directly_import(module) - allowed):
            yield f"{importer} imports {module}; import it from {room}, which hands it out"


def _roundabout(graph: ImportGraph, package: str) -> Iterator[str]:
    """The imports from inside of a package that take the way by its face."""
    inside = graph.find_descendants(package)
    for importer in sorted(graph.find_modules_that_directly_import(package) & inside):
        yield f"{importer} imports {package}; import the module that defines what it needs"
