"""A contract for import-linter: what a room does not hand out is imported by that room alone."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

CORE = "benchmark"


class FacesContract(Contract):
    """A room is a package of the core; its face is what its ``__init__`` hands out.

    It names no room, so that a new one is guarded from its first day.
    """

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find every import from outside of a room that goes past its face."""
        del verbose
        rooms = [room for room in graph.find_children(CORE) if graph.find_children(room)]
        breaches = [
            f"{importer} imports {module}"
            for room in sorted(rooms)
            for module in sorted(graph.find_descendants(room))
            for importer in sorted(graph.find_modules_that_directly_import(module))
            if importer != room and not importer.startswith(f"{room}.")
        ]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the imports that go past a face."""
        for breach in check.metadata["breaches"]:
            output.print_error(f"- {breach}; import it from the room itself, which hands it out")
