"""Which versions of a run's variants are meant: the present ones, all, or those that are named."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmark.errors import StoreError
from benchmark.specs import Variant
from benchmark.spelling import did_you_mean
from benchmark.store.description import RunDescription
from benchmark.store.directory import RunDirectory

# As many digits of an identity as tell versions apart in a table.
SHORT_IDENTITY = 8

_NAMED = re.compile(r"(?P<label>.+)@(?P<identity>[0-9A-Fa-f]+)")


@dataclass(frozen=True)
class Version:
    """One state of a variant, by its label and its identity.

    ``is_named`` says that its identity is part of its row's name.
    """

    label: str
    identity: str
    is_named: bool = False

    @property
    def distinction(self) -> str:
        """What its row's name has behind the label."""
        return f"@{self.identity[:SHORT_IDENTITY]}" if self.is_named else ""


def version_of(variant: Variant) -> Version:
    """The version that a variant is."""
    return Version(variant.model, variant.identity)


@dataclass(frozen=True)
class Versions:
    """What there is of a run's variants: those that were asked for, and those with records."""

    directory: RunDirectory
    description: RunDescription | None

    def present(self) -> list[Version]:
        """Of each label what it stands for now, in the order in which they were asked for.

        Of a label that no command is known to have asked for, all that has records.
        """
        return [version for label in self._labels() for version in self._present(label)]

    def every(self) -> list[Version]:
        """All that have records, and those that were asked for; of each label the present last."""
        return [version for label in self._labels() for version in self._every(label)]

    def earlier(self) -> list[Version]:
        """Those with records that are not present."""
        present = {(version.label, version.identity) for version in self.present()}
        found = [version for label in self._labels() for version in self._recorded(label)]
        return [item for item in found if (item.label, item.identity) not in present]

    def named(self, texts: Sequence[str], origin: str = "-m ") -> list[Version]:
        """Those that texts name: a label, one with ``*`` and ``?``, or ``label@identity``.

        Each comes once, as the first text names it. Raises StoreError for a text that names none,
        or more than one identity; ``origin`` stands before the text in its message.
        """
        found: dict[tuple[str, str], Version] = {}
        for version in (version for text in texts for version in self._named(text, origin)):
            found.setdefault((version.label, version.identity), version)
        return [*found.values()]

    def _labels(self) -> list[str]:
        return [*dict.fromkeys([*self._planned, *self.directory.labels()])]

    def _recorded(self, label: str) -> list[Version]:
        return [Version(label, identity, True) for identity in self.directory.versions(label)]

    @cached_property
    def _planned(self) -> dict[str, list[Version]]:
        """Those that were asked for, by label."""
        found: dict[str, list[Version]] = {}
        for variant in self.description.variants if self.description else ():
            version = Version(variant.model, variant.identity, True)
            found.setdefault(variant.model, []).append(version)
        return found

    def _present(self, label: str) -> list[Version]:
        planned = self._planned.get(label)
        if planned:
            return [Version(label, planned[-1].identity)]
        recorded = self._recorded(label)
        return (
            recorded if len(recorded) > 1 else [Version(label, only.identity) for only in recorded]
        )

    def _every(self, label: str) -> list[Version]:
        planned = self._planned.get(label, [])
        unknown = [version for version in self._recorded(label) if version not in planned]
        return [*unknown, *planned]

    def _named(self, text: str, origin: str) -> Iterator[Version]:
        labels = self._labels()
        found = _NAMED.fullmatch(text)
        if found is not None and found["label"] in labels:
            yield self._of_identity(found["label"], found["identity"].lower(), origin)
            return
        matching = [label for label in labels if label == text or fnmatch.fnmatchcase(label, text)]
        if not matching:
            hint = did_you_mean(text, labels) or f" (there are: {', '.join(labels) or 'none'})"
            raise StoreError(f"{origin}{text}: {self.directory.path} has no such model{hint}")
        for label in matching:
            yield from self._present(label)

    def _of_identity(self, label: str, identity: str, origin: str) -> Version:
        every = self._every(label)
        found = [version for version in every if version.identity.startswith(identity)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(version.identity for version in found or every)
        problem = "stands for more than one version" if found else "is no version of it"
        raise StoreError(f"{origin}{label}@{identity}: {identity} {problem} (there are: {known})")
