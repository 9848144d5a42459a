"""Every format that is read, what is seen of each, and how images are brought to a size."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, strategies as st
from PIL import Image, ImageOps

from benchmark import DatasetError
from benchmark_plugins.datasets import image_files
from benchmark_plugins.datasets.image_files import ENDINGS, FORMATS, read_image
from benchmark_plugins.datasets.image_fits import crop, pad, squash
from tests.conftest import CommandLine, only_error
from tests.support.photos import load, noise, prepare, save

ORIENTATION = 0x0112
LOSSLESS = ("PNG", "WEBP", "BMP", "TIFF", "GIF")


def two_classes(root: Path) -> Path:
    """A folder with an image each to train and to test on; returns where another may lie."""
    for half, name in itertools.product(("train", "test"), ("cat", "dog")):
        save(root / half / name / "0.png", noise(len(half) + len(name)))
    return root / "train" / "cat"


def seen(image: Image.Image) -> Any:
    return numpy.asarray(image.convert("RGB"))


def lossless(name: str) -> dict[str, Any]:
    """What has a format keep every pixel as it is."""
    return {"lossless": True} if name == "WEBP" else {}


def oblong(seed: int = 0) -> Image.Image:
    return Image.fromarray(noise(seed, side=24)[:16])


def of_few_colours() -> Image.Image:
    return Image.fromarray(noise(1)).quantize(16)


# Formats.


@pytest.mark.parametrize("ending", [*ENDINGS, *(ending.upper() for ending in ENDINGS)])
def test_every_format_is_read_by_any_of_its_endings(tmp_path: Path, ending: str) -> None:
    folder = two_classes(tmp_path / "photos")
    path = folder / f"1{ending}"
    of_few_colours().convert("RGB").save(path)
    splits = load(tmp_path / "photos", tmp_path / "data").splits
    assert splits.train.labels.tolist() == [0, 0, 1]
    with Image.open(path) as image:
        assert image.format in FORMATS
        numpy.testing.assert_array_equal(splits.train.pixels[1], seen(image).transpose(2, 0, 1))


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_content_decides_and_not_the_ending(tmp_path: Path, name: str) -> None:
    image = of_few_colours()
    image.convert("RGB").save(tmp_path / "0.jpg", name, **lossless(name))
    numpy.testing.assert_array_equal(seen(read_image(tmp_path / "0.jpg").colour), seen(image))


def test_no_reader_of_another_format_is_ever_asked(
    benchmark: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (two_classes(tmp_path / "photos") / "1.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    asked: list[Any] = []
    Image.init()
    for name in set(Image.OPEN) - set(FORMATS):
        monkeypatch.setitem(Image.OPEN, name, (lambda *_: asked.append(_), lambda _: True))
    assert "not an image" in only_error(prepare(benchmark, tmp_path / "photos"))
    assert asked == []


@pytest.mark.parametrize("name", ["GIF", "WEBP", "TIFF", "PNG"])
def test_of_several_frames_the_first_is_taken_and_that_is_said(tmp_path: Path, name: str) -> None:
    folder = two_classes(tmp_path / "photos")
    first, *later = (of_few_colours().rotate(angle) for angle in (0, 90, 180))
    # The first is also what a PNG shows where nothing moves.
    frames = [image.convert("RGB") for image in (first, *later)]
    several = {"save_all": True, "append_images": frames[1:], **lossless(name)}
    frames[0].save(folder / "1.gif", name, **several)
    splits = load(tmp_path / "photos", tmp_path / "data").splits
    numpy.testing.assert_array_equal(splits.train.pixels[1], seen(first).transpose(2, 0, 1))
    assert splits.notes == ("took only the first frame of 1 image",)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
def test_tiff_is_read_in_every_mode_that_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(noise(1)).convert("RGB" if mode == "LAB" else mode)
    image = Image.merge("LAB", image.split()) if mode == "LAB" else image
    image.save(tmp_path / "0.tif")
    if mode == "LAB":
        with pytest.raises(
            DatasetError, match=r"its pixels \(LAB\) are not 8-bit grey, RGB or CMYK"
        ):
            read_image(tmp_path / "0.tif")
        return
    numpy.testing.assert_array_equal(seen(read_image(tmp_path / "0.tif").colour), seen(image))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_tiff_of_more_bits_is_refused(tmp_path: Path, mode: str) -> None:
    dtype = {"I;16": numpy.uint16, "I": numpy.int32, "F": numpy.float32}[mode]
    Image.fromarray(numpy.full((8, 8), 900, dtype)).save(tmp_path / "0.tif")
    with pytest.raises(DatasetError, match=r"are not 8-bit grey, RGB or CMYK; save it with 8 bits"):
        read_image(tmp_path / "0.tif")


@pytest.mark.parametrize("name", [*LOSSLESS, "JPEG"])
def test_a_truncated_file_is_one_line_with_its_path(
    benchmark: CommandLine, tmp_path: Path, name: str
) -> None:
    path = two_classes(tmp_path / "photos") / "1.png"
    Image.fromarray(noise(1)).save(path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    line = only_error(prepare(benchmark, tmp_path / "photos"))
    assert line.startswith(f"benchmark: error: imagefolder: {path}: ")


# Orientation.


def save_turned(path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True, "exif": exif},
        "TIFF": {"tiffinfo": {ORIENTATION: orientation}},
    }
    oblong().save(path, name, **options.get(name, {"exif": exif}))


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_upright_as_pillow_would_turn_them(
    tmp_path: Path, name: str, orientation: int
) -> None:
    path = tmp_path / "0.png"
    save_turned(path, name, orientation)
    with Image.open(path) as image:
        expected = seen(ImageOps.exif_transpose(image))
    read = read_image(path)
    numpy.testing.assert_array_equal(seen(read.colour), expected)
    assert (image_files.Change.TURNED in read.changes) == (orientation != 1)
    assert read.colour.size == ((24, 16) if orientation < 5 else (16, 24))


def test_turned_images_are_counted(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "photos")
    for number, orientation in enumerate((1, 3, 8), start=1):
        save_turned(folder / f"{number}.jpg", "JPEG", orientation)
    notes = load(tmp_path / "photos", tmp_path / "data", size=8, fit="crop").splits.notes
    assert notes == ("turned 2 images upright, as the EXIF orientation says",)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_exif_data_that_cannot_be_read_are_said_and_cost_no_image(
    tmp_path: Path, name: str
) -> None:
    path = two_classes(tmp_path / "photos") / "1.jpg"
    Image.fromarray(noise(1)).save(path, name, exif=b"Exif\0\0neither II nor MM")
    (note,) = load(tmp_path / "photos", tmp_path / "data").splits.notes
    assert note.startswith("could not read the EXIF data of 1 image")


# Sizes.


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("size", [(24, 16), (16, 24), (20, 20), (40, 8)])
def test_crop_and_pad_are_those_of_pillow(fit: str, size: tuple[int, int]) -> None:
    image = Image.fromarray(noise(2, side=64)).resize(size)
    fitted, of_pillow = {"crop": (crop, ImageOps.fit), "pad": (pad, ImageOps.pad)}[fit]
    expected = of_pillow(image, (12, 12), method=Image.Resampling.BILINEAR)
    numpy.testing.assert_array_equal(seen(fitted(image, 12)), seen(expected))


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    side=st.integers(1, 40),
    fit=st.sampled_from([squash, crop, pad]),
)
def test_any_image_fits(
    width: int, height: int, side: int, fit: Callable[[Image.Image, int], Image.Image]
) -> None:
    fitted = fit(Image.new("RGB", (width, height), (200, 100, 50)), side)
    assert (fitted.size, fitted.mode) == ((side, side), "RGB")
    colours = {colour for _, colour in fitted.getcolors() or []}
    assert (200, 100, 50) in colours
    # Nothing but what was there, and the bars of what is not square.
    assert colours <= {(200, 100, 50), *([(0, 0, 0)] if fit is pad and width != height else [])}


def test_the_fit_is_an_option_and_squashing_is_said(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "photos")
    oblong().save(folder / "1.png")
    fits: dict[str, Callable[[Image.Image, int], Image.Image]]
    fits = {"squash": squash, "crop": crop, "pad": pad}
    for fit, fitted in fits.items():
        splits = load(tmp_path / "photos", tmp_path / "data", size=8, fit=fit).splits
        expected = seen(fitted(oblong(), 8)).transpose(2, 0, 1)
        numpy.testing.assert_array_equal(splits.train.pixels[1], expected)
        said = "squashed 1 image out of shape (fit: crop or pad keeps the shape)"
        assert splits.notes == ((said,) if fit == "squash" else ())
    by_default = load(tmp_path / "photos", tmp_path / "data", size=8).fingerprint
    assert (
        load(tmp_path / "photos", tmp_path / "data", size=8, fit="squash").fingerprint == by_default
    )


def test_a_fit_without_a_size_is_refused_with_a_remedy_that_works(
    benchmark: CommandLine, tmp_path: Path
) -> None:
    two_classes(tmp_path / "photos")
    line = only_error(prepare(benchmark, tmp_path / "photos", "--set", "fit=pad"))
    assert line.endswith("--set fit: pad needs a size to bring images to, such as size: 32")
    settings = ("--set", "fit=pad", "--set", "size=32")
    assert prepare(benchmark, tmp_path / "photos", *settings).code == 0
    assert "fit" in only_error(prepare(benchmark, tmp_path / "photos", "--set", "fit=stretch"))
