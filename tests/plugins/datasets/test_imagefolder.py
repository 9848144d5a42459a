"""A folder of images: what is read from it, what is refused, and when it is decoded again."""

from __future__ import annotations

import errno
import io
import os
import shutil
import struct
import sys
import tarfile
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from benchmark import DatasetError
from benchmark_plugins.datasets.image_decoder import Decoder
from benchmark_plugins.datasets.image_files import warnings_by_file
from tests.conftest import CommandLine, only_error
from tests.support.photos import SIDE, Pixels, load, noise, prepare, save
from tests.support.sampling import examples
from tests.support.tiny import write_tiny_run

CLASSES = ("cat", "dog", "newt")
REAL_IMAGES_VARIABLE = "BENCHMARK_TEST_IMAGES"
REAL_ARCHIVE = "cifar10-jpeg.tar.xz"
REAL_IMAGES_A_CLASS = 20


def _decoded(path: Path) -> Pixels:
    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three classes: a JPEG and two PNG files each to train on, one PNG file to test on."""
    root = tmp_path / "photos"
    for label, name in enumerate(CLASSES):
        save(root / "train" / name / "0.jpg", noise(10 * label), quality=95)
        save(root / "train" / name / "1.png", noise(10 * label + 1))
        save(root / "train" / name / "2.PNG", noise(10 * label + 2))
        save(root / "test" / name / "0.png", noise(10 * label + 3))
    return root


@pytest.fixture
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder))
    return folder


def _assert_nothing_cached(data_directory: Path) -> None:
    assert [*data_directory.rglob("*")] == []


def _refuse_to_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an image is decoded again")

    monkeypatch.setattr(Image, "open", refuse)


# What is read.


def test_pixels_labels_and_classes_are_those_of_the_files(root: Path, data_directory: Path) -> None:
    splits = load(root, data_directory).splits
    assert splits.classes == CLASSES
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert splits.test.labels.tolist() == [0, 1, 2]
    files = [root / "train" / c / f for c in CLASSES for f in ("0.jpg", "1.png", "2.PNG")]
    numpy.testing.assert_array_equal(splits.train.pixels, [_decoded(file) for file in files])
    numpy.testing.assert_array_equal(splits.train.pixels[4], noise(11).transpose(2, 0, 1))
    expected = [noise(seed).transpose(2, 0, 1) for seed in (3, 13, 23)]
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
    absolute = prepare(benchmark, root)
    monkeypatch.chdir(root.parent)
    assert prepare(benchmark, Path(root.name)) == absolute


def test_val_does_for_test(root: Path, data_directory: Path) -> None:
    expected = load(root, data_directory).fingerprint
    (root / "test").rename(root / "val")
    assert load(root, data_directory).fingerprint == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_modes_become_rgb(root: Path, data_directory: Path, mode: str) -> None:
    path = root / "train" / "dog" / ("1.jpg" if mode == "CMYK" else "1.png")
    (root / "train" / "dog" / "1.png").unlink()
    image = Image.fromarray(noise(5)).convert(mode)
    image.save(path)
    pixels = load(root, data_directory).splits.train.pixels[4]
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
    image = Image.fromarray(noise(5)).quantize(16)
    image.save(root / "train" / "dog" / "1.png", transparency=bytes(range(0, 256, 16)))
    result = prepare(benchmark, root)
    assert (result.code, result.err) == (0, "")
    pixels = load(root, data_directory).splits.train.pixels[4]
    numpy.testing.assert_array_equal(pixels, numpy.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_size_makes_all_images_alike(root: Path, data_directory: Path) -> None:
    save(root / "train" / "cat" / "0.jpg", numpy.full((40, 24, 3), 90, numpy.uint8))
    save(root / "test" / "dog" / "0.png", numpy.full((9, 5, 3), 200, numpy.uint8))
    splits = load(root, data_directory, size=8).splits
    assert splits.train.pixels.shape == (9, 3, 8, 8)
    assert splits.test.pixels.shape == (3, 3, 8, 8)
    # What is of one colour stays so at any size, and the others stay what they were.
    assert (splits.train.pixels[0] == 90).all()
    assert (splits.test.pixels[1] == 200).all()
    before, after = noise(1).mean((0, 1)), splits.train.pixels[1].mean((1, 2))
    numpy.testing.assert_allclose(after, before, atol=5)


def test_what_is_left_aside_is_counted_and_said_each_time(
    benchmark: CommandLine, root: Path, data_directory: Path
) -> None:
    expected = load(root, data_directory).fingerprint
    (root / "train" / "cat" / "notes.txt").write_text("a cat")
    (root / "test" / "newt" / "1.svg").write_text("<svg/>")
    (root / "train" / "cat" / "indoors").mkdir()
    save(root / "train" / "cat" / "indoors" / "3.png", noise(50))
    (root / "train" / "cat" / "9.png").mkdir()
    (root / "train" / "cat" / ".0.png").write_bytes(b"what a file browser leaves")
    (root / "train" / ".git").mkdir()
    (root / "train" / "list.png").write_text("not in a class")
    (root / "readme.jpg").write_text("not in a half")
    save(root / "more" / "cat" / "0.png", noise(51))
    result = prepare(benchmark, root)
    assert (result.code, result.out) == (0, f"imagefolder: ready ({expected[:12]})\n")
    said = [
        "left aside 1 hidden file (train/cat/.0.png)",
        "left aside 1 hidden folder (train/.git)",
        "left aside 2 files with endings that are not read (test/newt/1.svg, ...)",
        "left aside 2 files outside the class folders (readme.jpg, ...)",
        "left aside 2 folders inside class folders (train/cat/9.png, ...)",
        "left aside 1 folder beside those with images (more)",
    ]
    assert result.err.splitlines() == [f"benchmark: imagefolder: {note}" for note in said]
    assert prepare(benchmark, root) == result
    info = benchmark("data", "info", "imagefolder", "--set", f"root={root}")
    assert [line for line in info.out.splitlines() if line.startswith("note: ")] == [
        f"note: {note}" for note in said
    ]


def test_what_is_left_aside_is_said_once_in_a_run(
    benchmark: CommandLine, root: Path, data_directory: Path
) -> None:
    (root / "train" / "cat" / "notes.txt").write_text("a cat")
    command = write_tiny_run(Path())
    settings = ["--set", f"dataset={{name: imagefolder, root: {root}}}", "--set", "batch_size=4"]
    result = benchmark(*command, *settings)
    assert result.code == 0
    assert result.err.count("left aside 1 file with an ending that is not read") == 1


def test_a_note_is_never_older_than_the_folder(root: Path, data_directory: Path) -> None:
    assert load(root, data_directory).splits.notes == ()
    (root / "train" / "cat" / "notes.txt").write_text("a cat")
    (note,) = load(root, data_directory).splits.notes
    assert "train/cat/notes.txt" in note
    (root / "train" / "cat" / "notes.txt").unlink()
    assert load(root, data_directory).splits.notes == ()


def _rename_classes(root: Path, *names: str) -> None:
    """Have the class ``cat`` another name in each half."""
    for half, name in zip(("train", "test"), names, strict=True):
        (root / half / "cat").rename(root / half / name)


Form = Literal["NFC", "NFD"]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_are_the_same_however_unicode_writes_them(
    root: Path, tmp_path: Path, forms: tuple[Form, Form]
) -> None:
    # In NFD it would come before, in NFC behind what lies beside it.
    images = ("été.png", "etf.png")
    for name in images:
        save(root / "train" / "dog" / name, noise(len(name)))
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    for name in images:
        (copy / "train" / "dog" / name).rename(
            copy / "train" / "dog" / unicodedata.normalize(forms[0], name)
        )
    _rename_classes(root, "été", "été")
    _rename_classes(copy, *(unicodedata.normalize(form, "été") for form in forms))
    expected = load(root, tmp_path / "data")
    assert expected.splits.classes == ("dog", "newt", "été")
    found = load(copy, tmp_path / "data")
    assert (found.splits.classes, found.fingerprint) == (
        expected.splits.classes,
        expected.fingerprint,
    )


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system has one of them only")
def test_two_folders_of_one_name_are_not_one_class(
    benchmark: CommandLine, root: Path, data_directory: Path
) -> None:
    _rename_classes(root, "été", "été")
    other = root / "train" / unicodedata.normalize("NFD", "été")
    save(other / "0.png", noise(50))
    line = only_error(prepare(benchmark, root))
    assert "another folder has the same name" in line
    assert str(root / "train") in line
    _assert_nothing_cached(data_directory)


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are always UTF-8")
def test_class_whose_name_is_not_utf8(
    benchmark: CommandLine, root: Path, data_directory: Path
) -> None:
    for half in ("train", "test"):
        (root / half / "newt").rename(root / half / os.fsdecode(b"caf\xe9"))
    result = prepare(benchmark, root)
    assert (result.code, result.err) == (0, "")
    assert os.fsdecode(b"caf\xe9") in load(root, data_directory).splits.classes


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
    save(path, numpy.full((SIDE, SIDE), 30_000, numpy.uint16))
    return path


def _sixteen_bit_colour_png(root: Path) -> Path:
    return _write_sixteen_bit_png(root / "train" / "cat" / "9.png", colour_type=2, channels=3)


def _sixteen_bit_transparent_png(root: Path) -> Path:
    return _write_sixteen_bit_png(root / "test" / "cat" / "9.png", colour_type=6, channels=4)


def _sixteen_bit_transparent_grey_png(root: Path) -> Path:
    return _write_sixteen_bit_png(root / "train" / "cat" / "9.png", colour_type=4, channels=2)


def _write_sixteen_bit_png(path: Path, colour_type: int, channels: int) -> Path:
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, colour_type, 0, 0, 0)
    lines = (b"\0" + bytes(2 * channels * SIDE)) * SIDE
    path.write_bytes(_png(("IHDR", header), ("IDAT", zlib.compress(lines)), ("IEND", b"")))
    return path


def _enormous_png(root: Path) -> Path:
    """A file of some bytes that says it is an image of 7 GB."""
    path = root / "train" / "cat" / "9.png"
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    path.write_bytes(_png(("IHDR", header), ("IDAT", zlib.compress(b"")), ("IEND", b"")))
    return path


def _png(*chunks: tuple[str, bytes]) -> bytes:
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        checked = kind.encode("latin-1") + data
        content += struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))
    return content


def _postscript_named_jpg(root: Path) -> Path:
    path = root / "train" / "cat" / "9.jpg"
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n")
    return path


def _pdf_named_jpg(root: Path) -> Path:
    path = root / "train" / "cat" / "9.JPG"
    path.write_bytes(
        b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n"
    )
    return path


def _svg_named_png(root: Path) -> Path:
    path = root / "test" / "cat" / "9.png"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"/>')
    return path


def _pipe_named_like_an_image(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    os.mkfifo(path)
    return path


def _device_named_like_an_image(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    path.symlink_to("/dev/zero")
    return path


def _png_with_an_empty_profile_at_its_end(root: Path) -> Path:
    """A file at which Pillow raises an IndexError when it has all the pixels."""
    path = root / "train" / "dog" / "1.png"
    content = path.read_bytes()
    path.write_bytes(content[:-12] + _png(("iCCP", b""))[8:] + content[-12:])
    return path


def _class_of_another_format(root: Path) -> Path:
    for half in ("train", "test"):
        save(root / half / "fish" / "0.png", noise(50))
    (root / "train" / "fish" / "0.png").rename(root / "train" / "fish" / "0.svg")
    return root / "train" / "fish"


def _empty_class(root: Path) -> Path:
    (root / "train" / "fish").mkdir()
    save(root / "test" / "fish" / "0.png", noise(50))
    return root / "train" / "fish"


def _class_of_texts(root: Path) -> Path:
    for half in ("train", "test"):
        save(root / half / "fish" / "0.png", noise(50))
    (root / "test" / "fish" / "0.png").rename(root / "test" / "fish" / "0.txt")
    return root / "test" / "fish"


def _class_only_to_train_on(root: Path) -> Path:
    save(root / "train" / "fish" / "0.png", noise(50))
    return root / "train" / "fish"


def _class_only_to_test_on(root: Path) -> Path:
    save(root / "test" / "fish" / "0.png", noise(50))
    return root / "test" / "fish"


def _no_classes(root: Path) -> Path:
    shutil.rmtree(root / "train")
    (root / "train").mkdir()
    return root / "train"


def _images_without_classes(root: Path) -> Path:
    shutil.rmtree(root / "test")
    save(root / "test" / "0.png", noise(50))
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


def _link_to_itself(root: Path) -> Path:
    path = root / "train" / "cat" / "9.png"
    path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_damaged_png, "damaged|cannot be decoded"),
        (_truncated_jpeg, "cannot be decoded: image file is truncated"),
        (_truncated_png_to_test_on, "damaged|cannot be decoded"),
        (_text_named_png, "not an image, or a damaged one"),
        (_empty_file, "not an image, or a damaged one"),
        (_sixteen_bit_png, "(I;16) are not 8-bit grey, RGB or CMYK; save it with 8 bits a channel"),
        (
            _sixteen_bit_colour_png,
            "(RGB;16B) are not 8-bit grey, RGB or CMYK; save it with 8 bits a channel",
        ),
        (_sixteen_bit_transparent_png, "(RGBA;16B) are not 8-bit"),
        (_sixteen_bit_transparent_grey_png, "(LA;16B) are not 8-bit"),
        (_postscript_named_jpg, "(only JPEG, PNG, WebP, BMP, TIFF or GIF is read)"),
        (_pdf_named_jpg, "(only JPEG, PNG, WebP, BMP, TIFF or GIF is read)"),
        (_svg_named_png, "(only JPEG, PNG, WebP, BMP, TIFF or GIF is read)"),
        (_enormous_png, "exceeds limit"),
        (_empty_class, "no images in this class"),
        (_class_of_texts, "no images in this class"),
        (
            _class_of_another_format,
            "only 1 file with an ending that is not read (train/fish/0.svg)",
        ),
        (_class_only_to_train_on, "test has no class 'fish'"),
        (_class_only_to_test_on, "train has no class 'fish'"),
        (_no_classes, "no images"),
        (_images_without_classes, "no class folders"),
        (_no_train, "no such folder"),
        (_no_test, "no such folder"),
        (_no_root, "no such folder"),
        (_root_is_a_file, "no such folder"),
        (_link_to_nowhere, "No such file"),
        (_link_to_itself, "Too many levels of symbolic links"),
        (_png_with_an_empty_profile_at_its_end, "cannot be decoded: index out of range"),
        (_pipe_named_like_an_image, "cannot be decoded: not a regular file"),
        (_device_named_like_an_image, "cannot be decoded: not a regular file"),
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
    line = only_error(prepare(benchmark, root))
    assert line.startswith(f"benchmark: error: imagefolder: {path}: ")
    assert any(words in line for words in said.split("|"))
    _assert_nothing_cached(data_directory)


@pytest.mark.parametrize("name", ["DIB", "EPS", "ICO", "PCX", "PDF", "PPM", "SGI", "TGA"])
def test_no_other_format_is_opened_whatever_its_name(
    benchmark: CommandLine, root: Path, data_directory: Path, name: str
) -> None:
    path = root / "train" / "cat" / "9.jpg"
    Image.fromarray(noise(5)).save(path, name)
    line = only_error(prepare(benchmark, root))
    assert line.endswith(
        f"{path}: not an image, or a damaged one (only JPEG, PNG, WebP, BMP, TIFF or GIF is read)"
    )
    _assert_nothing_cached(data_directory)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            struct.error("unpack requires a buffer of 4 bytes"),
            "unpack requires a buffer of 4 bytes",
        ),
        (zlib.error("Error -3 while decompressing"), "Error -3 while decompressing"),
        (MemoryError(), "MemoryError"),
        (EOFError("\nno more\nbytes"), "no more"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_decoder_raises_is_told_in_a_line(
    benchmark: CommandLine,
    root: Path,
    data_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    def fail(image: Image.Image) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    line = only_error(prepare(benchmark, root))
    first = root / "train" / "cat" / "0.jpg"
    assert line == f"benchmark: error: imagefolder: {first}: cannot be decoded: {said}"
    _assert_nothing_cached(data_directory)


@pytest.mark.usefixtures("data_directory")
def test_warnings_of_pillow_are_one_line_when_the_images_are_decoded(
    benchmark: CommandLine, root: Path
) -> None:
    for name in ("cat", "dog"):
        path = root / "train" / name / "9.png"
        save(path, noise(5))
        content = path.read_bytes()
        # A header's end: that of an animation without a picture comes next.
        path.write_bytes(content[:33] + _png(("acTL", bytes(8)))[8:] + content[33:])
    first = prepare(benchmark, root)
    assert first.code == 0
    assert first.err == (
        "benchmark: imagefolder: all images were decoded, but Pillow warned about 2 of them, "
        f"the first being {root}/train/cat/9.png: "
        "Invalid APNG, will use default PNG image if possible\n"
    )
    second = prepare(benchmark, root)
    assert (second.code, second.out, second.err) == (0, first.out, "")


def _encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def _sound_files() -> list[bytes]:
    """Small files of many kinds: what they hold is all that Pillow has decoders for."""
    image = Image.fromarray(noise(0))
    palette = image.quantize(16)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A] = 6, "a description", 72.0
    texts = PngInfo()
    texts.add_text("Author", "nobody" * 20, zip=True)
    texts.add_itxt("Title", "noise", zip=True)

    def several() -> dict[str, Any]:
        # Writing an image in one format leaves settings in it that others cannot do with.
        return {"save_all": True, "append_images": [image.rotate(90)]}

    return [
        _encoded(image, "JPEG", exif=exif, comment=b"noise"),
        _encoded(image, "JPEG", progressive=True),
        _encoded(image.convert("L"), "JPEG", dpi=(72, 72)),
        _encoded(image.convert("CMYK"), "JPEG"),
        _encoded(image, "MPO", exif=exif, **several()),
        *(_encoded(image.convert(mode), "PNG", exif=exif) for mode in ("1", "L", "LA", "RGBA")),
        _encoded(image, "PNG", pnginfo=texts, dpi=(72, 72), transparency=(1, 2, 3)),
        _encoded(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        _encoded(palette, "PNG", transparency=3),
        _encoded(image, "PNG", **several()),
        _encoded(image, "WEBP", exif=exif),
        _encoded(image, "WEBP", **several()),
        _encoded(image, "BMP"),
        _encoded(palette, "BMP"),
        _encoded(image, "GIF", **several()),
        _encoded(image.copy(), "TIFF", **several()),
        _encoded(image.copy(), "TIFF", tiffinfo={0x0112: 6}),
        *(
            _encoded(image.copy(), "TIFF", compression=name)
            for name in ("tiff_lzw", "jpeg", "packbits")
        ),
    ]


SOUND_FILES = _sound_files()
PNG_CHUNKS = (
    *("IHDR", "PLTE", "IDAT", "IEND", "tRNS", "gAMA", "cHRM", "sRGB", "iCCP", "tEXt", "zTXt"),
    *("iTXt", "eXIf", "acTL", "fcTL", "fdAT", "pHYs", "bKGD", "\xff\xfe\x00\x01"),
)


@st.composite
def _damaged_files(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(SOUND_FILES)))
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(content) - 1))
        damage = draw(st.sampled_from(["alter", "cut", "insert", "remove", "chunk"]))
        if damage == "alter":
            content[position] = draw(st.integers(0, 255))
        elif damage == "cut":
            del content[max(position, 1) :]
        elif damage == "insert":
            content[position:position] = draw(st.binary(min_size=1, max_size=8))
        elif damage == "remove":
            del content[position : position + draw(st.integers(1, len(content) - position)) - 1]
        else:
            # After the header of a PNG file, or before its end, a whole chunk of anything.
            position = draw(st.sampled_from([33, max(len(content) - 12, 0)]))
            chunk = (draw(st.sampled_from(PNG_CHUNKS)), draw(st.binary(max_size=40)))
            content[position:position] = _png(chunk)[8:]
    return bytes(content)


@settings(deadline=None, max_examples=examples(500))
@given(content=_damaged_files())
def test_any_damaged_file_is_an_image_or_a_line_with_its_path(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(content)
    with warnings_by_file() as warned:
        try:
            pixels = Decoder(path, 8, "squash").decode([path], path.parent)
        except DatasetError as error:
            (line,) = str(error).splitlines()
            assert line.startswith(f"imagefolder: {path}: ")
            assert not line.endswith(": ")
        else:
            assert pixels.shape == (1, 3, 8, 8)
    assert {*warned} <= {path}


@pytest.mark.parametrize("half", ["train", "test"])
def test_unequal_sizes_name_two_files_and_the_remedy(
    benchmark: CommandLine, root: Path, data_directory: Path, half: str
) -> None:
    path = root / half / "newt" / "0.png"
    save(path, noise(50, side=20))
    line = only_error(prepare(benchmark, root))
    first = root / "train" / "cat" / "0.jpg"
    assert f"{path} is 20 x 20 pixels and {first} is 16 x 16" in line
    assert "--set dataset.size=32" in line
    _assert_nothing_cached(data_directory)
    assert prepare(benchmark, root, "--set", "size=16").code == 0


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("~nosuchuser/photos", "there is no such user"),
        (300 * "x", "File name too long"),
        ("photos\0", "no such folder"),
    ],
    ids=["user", "long", "null"],
)
def test_root_that_cannot_be(
    benchmark: CommandLine, data_directory: Path, root: str, said: str
) -> None:
    line = only_error(benchmark("data", "prepare", "imagefolder", "--set", f"root={root!r}"))
    assert said in line
    _assert_nothing_cached(data_directory)


def test_missing_root_option(benchmark: CommandLine, data_directory: Path) -> None:
    line = only_error(benchmark("data", "prepare", "imagefolder"))
    assert "root: missing" in line
    assert "--set root=" in line
    _assert_nothing_cached(data_directory)


@pytest.mark.parametrize("size", ["0", "-3", "5000", "big", "8.5"])
def test_impossible_size(
    benchmark: CommandLine, root: Path, data_directory: Path, size: str
) -> None:
    line = only_error(prepare(benchmark, root, "--set", f"size={size}"))
    assert "--set size" in line
    assert size in line
    _assert_nothing_cached(data_directory)


# When it is decoded again.


@pytest.mark.usefixtures("data_directory")
def test_second_start_decodes_nothing(
    benchmark: CommandLine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepare(benchmark, root)
    _refuse_to_decode(monkeypatch)
    assert prepare(benchmark, root) == first


@pytest.mark.usefixtures("data_directory")
def test_another_size_is_cached_apart(
    benchmark: CommandLine, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, small = prepare(benchmark, root), prepare(benchmark, root, "--set", "size=8")
    assert full.out != small.out
    _refuse_to_decode(monkeypatch)
    assert prepare(benchmark, root) == full
    assert prepare(benchmark, root, "--set", "size=8") == small


def test_added_file_is_seen(root: Path, data_directory: Path) -> None:
    load(root, data_directory)
    save(root / "train" / "dog" / "3.jpeg", noise(60))
    splits = load(root, data_directory).splits
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2]


def test_removed_file_is_seen(root: Path, data_directory: Path) -> None:
    load(root, data_directory)
    (root / "train" / "dog" / "1.png").unlink()
    assert len(load(root, data_directory).splits.train.labels) == 8


def test_changed_file_is_seen(root: Path, data_directory: Path) -> None:
    before = load(root, data_directory).fingerprint
    path = root / "test" / "dog" / "0.png"
    written = path.stat().st_mtime_ns
    _change_a_pixel(path)
    # A test is faster than some clocks; who changes a file is not.
    os.utime(path, ns=(written + 10**9, written + 10**9))
    assert load(root, data_directory).fingerprint != before


def _change_a_pixel(path: Path) -> None:
    with Image.open(path) as image:
        pixels = numpy.array(image)
    pixels[3, 4, 1] ^= 1
    save(path, pixels)


def test_fingerprint_is_that_of_the_pixels(root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    fingerprint = load(root, tmp_path / "data").fingerprint
    assert load(copy, tmp_path / "other data").fingerprint == fingerprint
    _change_a_pixel(copy / "train" / "newt" / "1.png")
    assert load(copy, tmp_path / "third data").fingerprint != fingerprint


def test_fingerprint_is_that_of_the_labels_too(root: Path, tmp_path: Path) -> None:
    before = load(root, tmp_path / "data").fingerprint
    for half in ("train", "test"):
        (root / half / "newt").rename(root / half / "salamander")
    assert load(root, tmp_path / "data").fingerprint != before


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
    shared = Path(__file__).parents[4] / "shared" / "data"
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
    first = prepare(benchmark, real_images)
    assert (first.code, first.err) == (0, "")
    splits = load(real_images, data_directory).splits
    assert len(splits.classes) == 10
    for name, half in (("train", splits.train), ("test", splits.test)):
        assert half.pixels.shape == (10 * REAL_IMAGES_A_CLASS, 3, 32, 32)
        assert (numpy.bincount(half.labels) == REAL_IMAGES_A_CLASS).all()
        files = sorted((real_images / name).glob("*/*.jpg"))
        assert [splits.classes[label] for label in half.labels] == [f.parent.name for f in files]
        numpy.testing.assert_array_equal(half.pixels, [_decoded(file) for file in files])
    _refuse_to_decode(monkeypatch)
    assert prepare(benchmark, real_images) == first
