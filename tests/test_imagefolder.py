"""A folder of images: what is read from it, what is refused, and when it is decoded again."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from benchmark.catalog import load_catalog
from benchmark.datasets import Dataset, load_dataset
from benchmark.records import Selection
from tests.conftest import CommandLine, Result, only_error

CLASSES = ("cat", "dog", "newt")
SIDE = 16
REAL_IMAGES_VARIABLE = "BENCHMARK_TEST_IMAGES"
REAL_ARCHIVE = "cifar10-jpeg.tar.xz"
REAL_IMAGES_A_CLASS = 20

Pixels = numpy.ndarray[Any, Any]


def _noise(seed: int, side: int = SIDE) -> Pixels:
    return numpy.random.default_rng(seed).integers(0, 256, (side, side, 3), numpy.uint8)


def _save(path: Path, pixels: Pixels, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def _decoded(path: Path) -> Pixels:
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes: a JPEG and two PNG files each to train on, one PNG file to test on."""
    root = tmp_path / "photos"
    for label, name in enumerate(CLASSES):
        _save(root / "train" / name / "0.jpg", _noise(10 * label), quality=95)
        _save(root / "train" / name / "1.png", _noise(10 * label + 1))
        _save(root / "train" / name / "2.PNG", _noise(10 * label + 2))
        _save(root / "test" / name / "0.png", _noise(10 * label + 3))
    return root


@pytest.fixture
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder))
    return folder


def _load(root: Path, data_directory: Path, **options: Any) -> Dataset:
    selection = Selection(name="imagefolder", options={"root": str(root), **options})
    return load_dataset(selection, load_catalog().datasets, data_directory)


def _prepare(benchmark: CommandLine, root: Path, *more: str) -> Result:
    return benchmark("data", "prepare", "imagefolder", "--set", f"root={root}", *more)


def _assert_nothing_cached(data_directory: Path) -> None:
    assert [*data_directory.rglob("*")] == []


def _refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an image is decoded again")

    monkeypatch.setattr(Image, "open", refuse)


# What is read.


def test_pixels_labels_and_classes_are_those_of_the_files(root: Path, data_directory: Path) -> None:
    splits = _load(root, data_directory).splits
    assert splits.classes == CLASSES
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert splits.test.labels.tolist() == [0, 1, 2]
    files = [root / "train" / c / f for c in CLASSES for f in ("0.jpg", "1.png", "2.PNG")]
    numpy.testing.assert_array_equal(splits.train.pixels, [_decoded(file) for file in files])
    numpy.testing.assert_array_equal(splits.train.pixels[4], _noise(11).transpose(2, 0, 1))
    expected = [_noise(seed).transpose(2, 0, 1) for seed in (3, 13, 23)]
    numpy.testing.assert_array_equal(splits.test.pixels, expected)


@pytest.mark.usefixtures("data_directory")
def test_info_describes_the_folder(benchmark: CommandLine, root: Path) -> None:
    result = benchmark("data", "info", "imagefolder", "--set", f"root={root}")
    assert (result.code, result.err) == (0, "")
    assert "3 x 16 x 16" in result.out
    assert [line.split() for line in result.out.splitlines()[-3:]] == [
        [name, "3", "1"] for name in CLASSES
    ]


@pytest.mark.usefixtures("data_directory")
def test_relative_root(benchmark: CommandLine, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = _prepare(benchmark, root)
    monkeypatch.chdir(root.parent)
    assert _prepare(benchmark, Path(root.name)) == absolute


def test_val_does_for_test(root: Path, data_directory: Path) -> None:
    expected = _load(root, data_directory).fingerprint
    (root / "test").rename(root / "val")
    assert _load(root, data_directory).fingerprint == expected


def test_test_goes_before_val(root: Path, data_directory: Path) -> None:
    expected = _load(root, data_directory).fingerprint
    _save(root / "val" / "fish" / "0.png", _noise(99))
    assert _load(root, data_directory).fingerprint == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_modes_become_rgb(root: Path, data_directory: Path, mode: str) -> None:
    path = root / "train" / "dog" / ("1.jpg" if mode == "CMYK" else "1.png")
    (root / "train" / "dog" / "1.png").unlink()
    image = Image.fromarray(_noise(5)).convert(mode)
    image.save(path)
    pixels = _load(root, data_directory).splits.train.pixels[4]
    numpy.testing.assert_array_equal(pixels, _decoded(path))
    if mode in ("1", "L", "LA"):
        grey = numpy.asarray(image.convert("L"))
        numpy.testing.assert_array_equal(pixels, [grey, grey, grey])
    if mode in ("P", "RGBA"):
        colours = numpy.asarray(image.convert("RGB")).transpose(2, 0, 1)
        numpy.testing.assert_array_equal(pixels, colours)


def test_palette_with_transparency_keeps_its_colours(
    benchmark: CommandLine, root: Path, data_directory: Path
) -> None:
    image = Image.fromarray(_noise(5)).quantize(16)
    image.save(root / "train" / "dog" / "1.png", transparency=bytes(range(0, 256, 16)))
    result = _prepare(benchmark, root)
    assert (result.code, result.err) == (0, "")
    pixels = _load(root, data_directory).splits.train.pixels[4]
    numpy.testing.assert_array_equal(pixels, numpy.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_size_makes_all_images_alike(root: Path, data_directory: Path) -> None:
    _save(root / "train" / "cat" / "0.jpg", numpy.full((40, 24, 3), 90, numpy.uint8))
    _save(root / "test" / "dog" / "0.png", numpy.full((9, 5, 3), 200, numpy.uint8))
    splits = _load(root, data_directory, size=8).splits
    assert splits.train.pixels.shape == (9, 3, 8, 8)
    assert splits.test.pixels.shape == (3, 3, 8, 8)
    # What is of one colour stays so at any size, and the others stay what they were.
    assert (splits.train.pixels[0] == 90).all()
    assert (splits.test.pixels[1] == 200).all()
    before, after = _noise(1).mean((0, 1)), splits.train.pixels[1].mean((1, 2))
    numpy.testing.assert_allclose(after, before, atol=5)


def test_hidden_files_and_other_suffixes_are_ignored(root: Path, data_directory: Path) -> None:
    expected = _load(root, data_directory).fingerprint
    (root / "train" / "cat" / ".0.png").write_bytes(b"what a file browser leaves")
    (root / "train" / "cat" / "notes.txt").write_text("a cat")
    (root / "train" / "cat" / "Thumbs.db").write_bytes(b"\0")
    (root / "train" / "list.png").write_text("not in a class")
    (root / "train" / ".git").mkdir()
    (root / "readme.jpg").write_text("not in a half")
    assert _load(root, data_directory).fingerprint == expected


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always UTF-8")
def test_class_whose_name_is_not_utf8(
    benchmark: CommandLine, root: Path, data_directory: Path
) -> None:
    for half in ("train", "test"):
        (root / half / "newt").rename(root / half / os.fsdecode(b"caf\xe9"))
    result = _prepare(benchmark, root)
    assert (result.code, result.err) == (0, "")
    assert os.fsdecode(b"caf\xe9") in _load(root, data_directory).splits.classes


# What is refused: each fault spoils a folder and returns the path that is to be named.


def _damaged_png(root: Path) -> Path:
    path = root / "train" / "dog" / "1.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def _truncated_jpeg(root: Path) -> Path:
    path = root / "train" / "newt" / "0.jpg"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    return path


def _truncated_png_to_test_on(root: Path) -> Path:
    path = root / "test" / "dog" / "0.png"
    path.write_bytes(path.read_bytes()[:200])
    return path


def _text_named_png(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    path.write_text("<html>404</html>")
    return path


def _empty_file(root: Path) -> Path:
    path = root / "train" / "cat" / "9.jpeg"
    path.touch()
    return path


def _sixteen_bit_png(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    _save(path, numpy.full((SIDE, SIDE), 30_000, numpy.uint16))
    return path


def _enormous_png(root: Path) -> Path:
    """A file of some bytes that says it is an image of 7 GB."""
    path = root / "train" / "cat" / "9.png"
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", zlib.compress(b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks + _png_chunk(b"IEND", b""))
    return path


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def _empty_class(root: Path) -> Path:
    (root / "train" / "fish").mkdir()
    _save(root / "test" / "fish" / "0.png", _noise(50))
    return root / "train" / "fish"


def _class_of_texts(root: Path) -> Path:
    for half in ("train", "test"):
        _save(root / half / "fish" / "0.png", _noise(50))
    (root / "test" / "fish" / "0.png").rename(root / "test" / "fish" / "0.txt")
    return root / "test" / "fish"


def _class_only_to_train_on(root: Path) -> Path:
    _save(root / "train" / "fish" / "0.png", _noise(50))
    return root / "train" / "fish"


def _class_only_to_test_on(root: Path) -> Path:
    _save(root / "test" / "fish" / "0.png", _noise(50))
    return root / "test" / "fish"


def _no_classes(root: Path) -> Path:
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    return root / "train"


def _images_without_classes(root: Path) -> Path:
    shutil.rmtree(root / "test")
    _save(root / "test" / "0.png", _noise(50))
    return root / "test"


def _no_train(root: Path) -> Path:
    shutil.rmtree(root / "train")
    return root / "train"


def _no_test(root: Path) -> Path:
    shutil.rmtree(root / "test")
    return root / "test"


def _no_root(root: Path) -> Path:
    shutil.rmtree(root)
    return root


def _root_is_a_file(root: Path) -> Path:
    shutil.rmtree(root)
    root.write_text("no folder")
    return root


def _link_to_nowhere(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    path.symlink_to(root / "gone.png")
    return path


def _folder_named_like_an_image(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_damaged_png, "damaged|cannot be decoded"),
        (_truncated_jpeg, "cannot be decoded: image file is truncated"),
        (_truncated_png_to_test_on, "damaged|cannot be decoded"),
        (_text_named_png, "not an image, or a damaged one"),
        (_empty_file, "not an image, or a damaged one"),
        (_sixteen_bit_png, "not 8-bit"),
        (_enormous_png, "exceeds limit"),
        (_empty_class, "no images in this class"),
        (_class_of_texts, "no images in this class"),
        (_class_only_to_train_on, "test has no class 'fish'"),
        (_class_only_to_test_on, "train has no class 'fish'"),
        (_no_classes, "no images"),
        (_images_without_classes, "no class folders"),
        (_no_train, "no such folder"),
        (_no_test, "no such folder"),
        (_no_root, "no such folder"),
        (_root_is_a_file, "no such folder"),
        (_link_to_nowhere, "No such file"),
        (_folder_named_like_an_image, "cannot be decoded"),
    ],
)
def test_faulty_folder_is_told_in_a_line(
    benchmark: CommandLine,
    root: Path,
    data_directory: Path,
    spoil: Callable[[Path], Path],
    said: str,
) -> None:
    path = spoil(root)
    line = only_error(_prepare(benchmark, root))
    assert line.startswith(f"benchmark: error: imagefolder: {path}: ")
    assert any(words in line for words in said.split("|"))
    _assert_nothing_cached(data_directory)


@pytest.mark.parametrize("half", ["train", "test"])
def test_unequal_sizes_name_two_files_and_the_remedy(
    benchmark: CommandLine, root: Path, data_directory: Path, half: str
) -> None:
    path = root / half / "newt" / "0.png"
    _save(path, _noise(50, side=20))
    line = only_error(_prepare(benchmark, root))
    first = root / "train" / "cat" / "0.jpg"
    assert f"{path} is 20 x 20 pixels and {first} is 16 x 16" in line
    assert "--set dataset.size=32" in line
    _assert_nothing_cached(data_directory)
    assert _prepare(benchmark, root, "--set", "size=16").code == 0


def test_missing_root_option(benchmark: CommandLine, data_directory: Path) -> None:
    line = only_error(benchmark("data", "prepare", "imagefolder"))
    assert "root: missing" in line
    assert "--set root=" in line
    _assert_nothing_cached(data_directory)


@pytest.mark.parametrize("size", ["0", "-3", "5000", "big", "8.5"])
def test_impossible_size(
    benchmark: CommandLine, root: Path, data_directory: Path, size: str
) -> None:
    line = only_error(_prepare(benchmark, root, "--set", f"size={size}"))
    assert "--set size" in line
    assert size in line
    _assert_nothing_cached(data_directory)


# When it is decoded again.


@pytest.mark.usefixtures("data_directory")
def test_second_start_decodes_nothing(
    benchmark: CommandLine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _prepare(benchmark, root)
    _refuse_to_decode(monkeypatch)
    assert _prepare(benchmark, root) == first


@pytest.mark.usefixtures("data_directory")
def test_another_size_is_cached_apart(
    benchmark: CommandLine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, small = _prepare(benchmark, root), _prepare(benchmark, root, "--set", "size=8")
    assert full.out != small.out
    _refuse_to_decode(monkeypatch)
    assert _prepare(benchmark, root) == full
    assert _prepare(benchmark, root, "--set", "size=8") == small


def test_added_file_is_seen(root: Path, data_directory: Path) -> None:
    _load(root, data_directory)
    _save(root / "train" / "dog" / "3.jpeg", _noise(60))
    splits = _load(root, data_directory).splits
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]


def test_removed_file_is_seen(root: Path, data_directory: Path) -> None:
    _load(root, data_directory)
    (root / "train" / "dog" / "1.png").unlink()
    assert len(_load(root, data_directory).splits.train.labels) == 8


def test_changed_file_is_seen(root: Path, data_directory: Path) -> None:
    before = _load(root, data_directory).fingerprint
    path = root / "test" / "dog" / "0.png"
    written = path.stat().st_mtime_ns
    _change_a_pixel(path)
    # A test is faster than some clocks; who changes a file is not.
    os.utime(path, ns=(written + 10**9, written + 10**9))
    assert _load(root, data_directory).fingerprint != before


def _change_a_pixel(path: Path) -> None:
    with Image.open(path) as image:
        pixels = numpy.array(image)
    pixels[3, 4, 1] ^= 1
    _save(path, pixels)


def test_fingerprint_is_that_of_the_pixels(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    fingerprint = _load(root, tmp_path / "data").fingerprint
    assert _load(copy, tmp_path / "other data").fingerprint == fingerprint
    _change_a_pixel(copy / "train" / "newt" / "1.png")
    assert _load(copy, tmp_path / "third data").fingerprint != fingerprint


def test_fingerprint_is_that_of_the_labels_too(root: Path, tmp_path: Path) -> None:
    before = _load(root, tmp_path / "data").fingerprint
    for half in ("train", "test"):
        (root / half / "newt").rename(root / half / "salamander")
    assert _load(root, tmp_path / "data").fingerprint != before


# Real images, where they are at hand.


@pytest.fixture(scope="module")
def real_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real images of each class, taken from the folder or the archive that is there."""
    source = _real_source()
    if source is None:
        pytest.skip(f"no real images: {REAL_IMAGES_VARIABLE} names neither folder nor archive")
    root = tmp_path_factory.mktemp("real")
    if source.is_dir():
        _copy_some(source, root)
    else:
        _extract_some(source, root)
    return root


def _real_source() -> Path | None:
    given = os.environ.get(REAL_IMAGES_VARIABLE)
    shared = Path(__file__).parents[2] / "shared" / "data"
    place = Path(given) if given else shared
    folders = [folder for folder in (place, place / "cifar10-jpeg") if (folder / "train").is_dir()]
    archives = [file for file in (place, place / REAL_ARCHIVE) if file.is_file()]
    return next(iter([*folders, *archives]), None)


def _copy_some(source: Path, root: Path) -> None:
    for folder in (*source.glob("train/*/"), *source.glob("test/*/")):
        goal = root / folder.relative_to(source)
        goal.mkdir(parents=True)
        for file in sorted(folder.iterdir())[:REAL_IMAGES_A_CLASS]:
            shutil.copyfile(file, goal / file.name)


def _extract_some(archive: Path, root: Path) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(*Path(member.name).parts[1:])
            if member.isfile() and int(path.stem) < REAL_IMAGES_A_CLASS:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                (root / path).write_bytes(content.read())


def test_real_images(
    benchmark: CommandLine,
    real_images: Path,
    data_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = _prepare(benchmark, real_images)
    assert (first.code, first.err) == (0, "")
    splits = _load(real_images, data_directory).splits
    assert len(splits.classes) == 10
    for name, half in (("train", splits.train), ("test", splits.test)):
        assert half.pixels.shape == (10 * REAL_IMAGES_A_CLASS, 3, 32, 32)
        assert (numpy.bincount(half.labels) == REAL_IMAGES_A_CLASS).all()
        files = sorted((real_images / name).glob("*/*.jpg"))
        assert [splits.classes[label] for label in half.labels] == [f.parent.name for f in files]
        numpy.testing.assert_array_equal(half.pixels, [_decoded(file) for file in files])
    _refuse_to_decode(monkeypatch)
    assert _prepare(benchmark, real_images) == first
