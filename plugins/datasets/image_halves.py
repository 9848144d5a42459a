"""Which images are to train on, which for validation and which to test on.

The names of folders say it: ``train``, ``val`` or ``validation``, and ``test``. Where there is none
of them the class folders are split.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import DatasetError

from .image_folders import Half, ImageClass, composed, find_half, is_folder, kind_of, listed
from .left_aside import Kind, LeftAside

TRAIN, TEST = "train", "test"
VALIDATION_NAMES = ("val", "validation")
DEFAULT_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Halves:
    """The images of a data set by what they are for, and what is to be noted of them."""

    train: Half
    test: Half
    validation: Half | None
    notes: tuple[str, ...]

    @property
    def found(self) -> dict[str, Half]:
        """Those that there are, by name."""
        held_out = {} if self.validation is None else {"validation": self.validation}
        return {"train": self.train, **held_out, "test": self.test}


def find_halves(root: Path, test_fraction: float | None) -> Halves:
    """The images of each half, all of which have the same classes.

    Raises DatasetError, with the path, for a folder that is missing, empty or ambiguous, for
    classes that the halves do not share, and for a fraction where there are halves.
    """
    if not is_folder(root):
        raise DatasetError(f"imagefolder: {root}: no such folder")
    names = [name for name in (TRAIN, *VALIDATION_NAMES, TEST) if is_folder(root / name)]
    if not names:
        return _split(root, test_fraction or DEFAULT_TEST_FRACTION)
    if test_fraction is not None:
        raise DatasetError(
            f"imagefolder: {root}: test_fraction splits a folder that has no halves, and this one "
            f"has {names[0]}/; leave test_fraction out"
        )
    return _find_named(root, names)


def _find_named(root: Path, names: list[str]) -> Halves:
    held_out = [name for name in names if name in VALIDATION_NAMES]
    if len(held_out) > 1:
        raise DatasetError(
            f"imagefolder: {root}: it has both {held_out[0]}/ and {held_out[1]}/; keep one"
        )
    aside = LeftAside()
    with listed(root) as entries:
        for entry in entries:
            if entry.name not in names:
                aside.add(kind_of(entry, Kind.OUTSIDE), entry.name)
    if TEST in names or not held_out:
        halves = [_find_half(root, name, aside) for name in (TRAIN, TEST, *held_out)]
        taken = [f"took {name}/ for validation" for name in held_out]
    else:
        halves = [_find_half(root, name, aside) for name in (TRAIN, *held_out)]
        taken = [f"took {held_out[0]}/ to test on, as there is no {TEST}/"]
    _require_same_classes(halves)
    train, test, *validation = halves
    return Halves(train, test, next(iter(validation), None), (*taken, *aside.notes))


def _find_half(root: Path, name: str, aside: LeftAside) -> Half:
    if not is_folder(root / name):
        raise DatasetError(
            f"imagefolder: {root / name}: no such folder "
            f"(wanted: {TRAIN}/CLASS/* and {TEST}/CLASS/* below {root}, or CLASS/* alone)"
        )
    return find_half(root / name, aside, of=root)


def _require_same_classes(halves: list[Half]) -> None:
    for here in halves:
        for there in halves:
            for name, found in here.classes.items():
                if name not in there.classes:
                    raise DatasetError(
                        f"imagefolder: {found.folder}: {there.folder} has no class {name!r}"
                    )


def _split(root: Path, test_fraction: float) -> Halves:
    """Test on the same fraction of each class, always the same images of it."""
    aside = LeftAside()
    whole = find_half(root, aside, of=root)
    train: dict[str, ImageClass] = {}
    test: dict[str, ImageClass] = {}
    for name, found in whole.classes.items():
        drawn = _to_test_on(found, test_fraction)
        train[name] = replace(found, images=[image for image in found.images if image not in drawn])
        test[name] = replace(found, images=[image for image in found.images if image in drawn])
    count = sum(len(found.images) for found in test.values())
    taken = (
        f"took {count:,} of {len(whole.files):,} images to test on, {test_fraction:g} of each "
        f"class (test_fraction), as there is no {TRAIN}/ and no {TEST}/"
    )
    return Halves(Half(root, train), Half(root, test), None, (taken, *aside.notes))


def _to_test_on(found: ImageClass, fraction: float) -> set[str]:
    """Names of images that are drawn by a digest of each, at least one and never all of a class.

    So an image that is added or removed moves few others from one half to the other.
    """
    if len(found.images) == 1:
        raise DatasetError(
            f"imagefolder: {found.folder}: only one image in this class, which cannot be split; "
            "add another"
        )
    wanted = min(max(round(fraction * len(found.images)), 1), len(found.images) - 1)

    def draw(name: str) -> bytes:
        text = composed(f"{found.folder.name}/{name}")
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    return set(sorted(found.images, key=draw)[:wanted])
