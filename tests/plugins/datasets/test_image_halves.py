"""Which images are to train on, which for validation and which to test on."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from benchmark_plugins.datasets.image_halves import Halves, find_halves
from tests.conftest import CommandLine, only_error
from tests.support.photos import load, noise, prepare, save
from tests.support.tiny import write_tiny_run


def make(root: Path, *halves: str, images: int = 1) -> Path:
    """Two classes in each half, their images different ones."""
    for number, half in enumerate(halves):
        for label, name in enumerate(("cat", "dog")):
            for image in range(images):
                save(root / half / name / f"{image}.png", noise(100 * number + 10 * image + label))
    return root


def empty_files(root: Path, **counts: int) -> Path:
    """Classes of so many files, whose content nobody reads."""
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            (root / name / f"{number}.jpg").touch()
    return root


# Folders that say it.


@pytest.mark.parametrize("name", ["val", "validation"])
def test_validation_images_stand_beside_test(tmp_path: Path, name: str) -> None:
    splits = load(make(tmp_path / "photos", "train", name, "test"), tmp_path / "data").splits
    assert splits.validation is not None
    assert splits.validation.pixels[0, :, 3, 4].tolist() == noise(100)[3, 4].tolist()
    assert splits.test.pixels[0, :, 3, 4].tolist() == noise(200)[3, 4].tolist()
    assert splits.validation.labels.tolist() == [0, 1]
    assert splits.notes == (f"took {name}/ for validation",)


@pytest.mark.parametrize("name", ["val", "validation"])
def test_without_test_they_are_to_test_on(tmp_path: Path, name: str) -> None:
    splits = load(make(tmp_path / "photos", "train", name), tmp_path / "data").splits
    assert splits.validation is None
    assert splits.test.pixels[0, :, 3, 4].tolist() == noise(100)[3, 4].tolist()
    assert splits.notes == (f"took {name}/ to test on, as there is no test/",)


def test_halves_without_validation_are_noted_for_nothing(tmp_path: Path) -> None:
    splits = load(make(tmp_path / "photos", "train", "test"), tmp_path / "data").splits
    assert (splits.validation, splits.notes) == (None, ())


def test_both_names_are_one_too_many(benchmark: CommandLine, tmp_path: Path) -> None:
    root = make(tmp_path / "photos", "train", "val", "validation", "test")
    line = only_error(prepare(benchmark, root))
    assert line.endswith(f"imagefolder: {root}: it has both val/ and validation/; keep one")


def test_validation_has_the_same_classes(benchmark: CommandLine, tmp_path: Path) -> None:
    root = make(tmp_path / "photos", "train", "val", "test")
    (root / "val" / "dog" / "0.png").rename(root / "val" / "0.png")
    (root / "val" / "dog").rmdir()
    line = only_error(prepare(benchmark, root))
    assert line.endswith(f"imagefolder: {root}/train/dog: {root}/val has no class 'dog'")


def test_info_has_a_column_for_them(benchmark: CommandLine, tmp_path: Path) -> None:
    root = make(tmp_path / "photos", "train", "val", "test", images=2)
    result = benchmark("data", "info", "imagefolder", "--set", f"root={root}")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "note: took val/ for validation" in lines
    assert lines[-1].split() == ["dog", "2", "2", "2"]


def test_a_run_is_judged_by_them_and_says_what_it_took(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    root = make(tmp_path / "photos", "train", "val", "test", images=3)
    command = write_tiny_run(tmp_path)
    settings = ["--set", f"dataset={{name: imagefolder, root: {root}}}", "--set", "batch_size=4"]
    result = benchmark(*command, *settings)
    assert result.code == 0, result.err
    assert result.err.count("benchmark: imagefolder: took val/ for validation") == 1
    assert "3 x 16 x 16, 6 training, 6 validation and 6 test images" in " ".join(result.out.split())


# Folders that do not.


def test_a_folder_of_classes_is_split_and_that_is_said(tmp_path: Path) -> None:
    root = make(tmp_path / "photos", "", images=5)
    splits = load(root, tmp_path / "data").splits
    assert (len(splits.train.labels), splits.test.labels.tolist()) == (8, [0, 1])
    (note,) = splits.notes
    assert note == (
        "took 2 of 10 images to test on, 0.2 of each class (test_fraction), as there is no train/ "
        "and no test/"
    )
    other = load(root, tmp_path / "data", test_fraction=0.4).splits
    assert other.test.labels.tolist() == [0, 0, 1, 1]


def test_a_fraction_of_halves_is_refused_with_a_remedy_that_works(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    root = make(tmp_path / "photos", "train", "test", images=2)
    line = only_error(prepare(benchmark, root, "--set", "test_fraction=0.5"))
    assert line.endswith(
        f"imagefolder: {root}: test_fraction splits a folder that has no halves, and this one has "
        "train/; leave test_fraction out"
    )
    assert prepare(benchmark, root).code == 0
    assert prepare(benchmark, root / "train", "--set", "test_fraction=0.5").code == 0


@pytest.mark.parametrize("fraction", ["0", "1", "-0.1", "half"])
def test_a_fraction_that_can_be_none(benchmark: CommandLine, tmp_path: Path, fraction: str) -> None:
    root = make(tmp_path / "photos", "", images=2)
    assert "--set test_fraction" in only_error(
        prepare(benchmark, root, "--set", f"test_fraction={fraction}")
    )


def test_a_class_of_one_image_cannot_be_split(benchmark: CommandLine, tmp_path: Path) -> None:
    root = make(tmp_path / "photos", "", images=2)
    save(root / "newt" / "0.png", noise(0))
    line = only_error(prepare(benchmark, root))
    assert f"{root}/newt: only one image in this class, which cannot be split; add another" in line
    save(root / "newt" / "1.png", noise(1))
    assert prepare(benchmark, root).code == 0


@contextmanager
def listed_in_another_order(seed: int) -> Iterator[None]:
    """Have the file system list what is in a folder in some other order."""
    scan = os.scandir

    @contextmanager
    def shuffled(folder: Any) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(folder) as entries:
            yield iter(sorted(entries, key=lambda entry: hash((seed, entry.name))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", shuffled)
        yield


def names(halves: Halves, use: str) -> dict[str, list[str]]:
    return {name: found.images for name, found in halves.found[use].classes.items()}


@given(
    counts=st.lists(st.integers(2, 25), min_size=1, max_size=3),
    fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 1000),
)
def test_a_split_is_stratified_disjoint_complete_and_always_the_same(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], fraction: float, seed: int
) -> None:
    root = tmp_path_factory.mktemp("split")
    classes = {f"class{number}": count for number, count in enumerate(counts)}
    halves = find_halves(empty_files(root, **classes), fraction)
    train, test = names(halves, "train"), names(halves, "test")
    for name, count in classes.items():
        assert not {*train[name]} & {*test[name]}
        assert sorted(train[name] + test[name]) == sorted(f"{n}.jpg" for n in range(count))
        assert abs(len(test[name]) - fraction * count) <= 0.5 or len(test[name]) in (1, count - 1)
        assert 1 <= len(test[name]) < count
    with listed_in_another_order(seed):
        again = find_halves(root, fraction)
    assert (names(again, "train"), names(again, "test")) == (train, test)


def test_a_split_is_a_draw_and_not_the_first_images(tmp_path: Path) -> None:
    root = empty_files(tmp_path / "photos", cat=1000, dog=1000)
    test = names(find_halves(root, 0.1), "test")
    numbers = {name: {int(image.split(".")[0]) for image in test[name]} for name in test}
    for drawn in numbers.values():
        assert 300 < sum(drawn) / len(drawn) < 700
    # Nor is it the same draw for each class.
    assert len(numbers["cat"] & numbers["dog"]) < 50


def test_an_added_image_moves_at_most_one_other(tmp_path: Path) -> None:
    root = empty_files(tmp_path / "photos", cat=50)
    before = {*names(find_halves(root, 0.2), "test")["cat"]}
    (root / "cat" / "new.jpg").touch()
    after = {*names(find_halves(root, 0.2), "test")["cat"]}
    assert len(before - after) <= 1


def test_a_split_is_the_same_however_unicode_writes_names(tmp_path: Path) -> None:
    drawn = []
    for form in ("NFC", "NFD"):
        root = tmp_path / form
        (root / unicodedata.normalize(form, "été")).mkdir(parents=True)
        for number in range(30):
            name = unicodedata.normalize(form, f"é{number}.jpg")
            (root / unicodedata.normalize(form, "été") / name).touch()
        images = names(find_halves(root, 0.3), "test")["été"]
        drawn.append([unicodedata.normalize("NFC", image) for image in images])
    assert drawn[0] == drawn[1]


def test_links_in_circles_are_followed_nowhere(tmp_path: Path) -> None:
    root = make(tmp_path / "photos", "train", "test")
    (root / "train" / "cat" / "again").symlink_to(root)
    (root / "train" / "cat" / "itself").symlink_to(root / "train" / "cat" / "itself")
    (root / "circle").symlink_to(root)
    assert load(root, tmp_path / "data").splits.notes == (
        "left aside 1 file with an ending that is not read (train/cat/itself)",
        "left aside 1 folder inside a class folder (train/cat/again)",
        "left aside 1 folder beside those with images (circle)",
    )
