"""The cache of decoded images, faults of what a plugin loads, fixed subsets, fingerprints."""

from __future__ import annotations

import errno
import json
import os
import re
import select
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings, strategies as st

from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.images import fault_in, fingerprint
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.entries import Images, ImageSplits
from benchmark.protocol import Selection
from benchmark.training.data import subset
from tests.conftest import CommandLine, only_error
from tests.support.command_process import start
from tests.support.sampling import examples

SMALL = {"train_images": 40, "test_images": 20, "size": 8}
SMALL_SETTINGS = [argument for key in SMALL for argument in ("--set", f"{key}={SMALL[key]}")]
PREPARE_SMALL = ("data", "prepare", "synthetic", *SMALL_SETTINGS)
FILES = (
    *("info.json", "train_pixels.npy", "train_labels.npy"),
    *("test_pixels.npy", "test_labels.npy"),
)
PATIENCE_SECONDS = 120


@pytest.fixture
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder))
    return folder


def _load_small(data_directory: Path) -> Dataset:
    selection = Selection(name="synthetic", options={**SMALL, "seed": 0})
    return load_dataset(selection, load_catalog().datasets, data_directory)


def _cache_of_small(data_directory: Path) -> Path:
    cache = _load_small(data_directory).cache
    assert cache is not None
    return cache


def _content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# The cache.


def test_images_are_mapped_from_the_cache_and_never_written_to(data_directory: Path) -> None:
    splits = _load_small(data_directory).splits
    before = _content(data_directory)
    for images in (splits.train, splits.test):
        for array in (images.pixels, images.labels):
            assert isinstance(array, numpy.memmap)
            array += 1
    assert _content(data_directory) == before


@pytest.mark.usefixtures("data_directory")
def test_second_start_draws_nothing(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = benchmark(*PREPARE_SMALL)
    assert (first.code, first.err) == (0, "")

    def refuse(*_: object) -> None:
        raise AssertionError("images are drawn again")

    monkeypatch.setattr("benchmark_plugins.datasets.synthetic._draw_half", refuse)
    assert benchmark(*PREPARE_SMALL) == first


def test_info_says_where_the_cache_is(benchmark: CommandLine, data_directory: Path) -> None:
    out = benchmark("data", "info", "synthetic", *SMALL_SETTINGS).out
    cache = _cache_of_small(data_directory)
    assert cache.parent == data_directory / "decoded"
    assert f"cache: {cache}" in out.splitlines()
    assert sorted(_content(cache)) == sorted(FILES)


def _cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _alter_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _remove(path: Path) -> None:
    path.unlink()


def _fill_with_junk(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [_cut_in_half, _empty, _alter_a_byte, _remove, _fill_with_junk])
def test_damaged_cache_is_built_anew(
    benchmark: CommandLine, data_directory: Path, name: str, damage: Callable[[Path], None]
) -> None:
    first = benchmark(*PREPARE_SMALL)
    whole = _content(data_directory)
    damage(_cache_of_small(data_directory) / name)
    assert _content(data_directory) != whole
    assert benchmark(*PREPARE_SMALL) == first
    assert _content(data_directory) == whole


@pytest.mark.parametrize(
    "content",
    [
        "null",
        "[]",
        "{}",
        '{"fingerprint": 7, "classes": []}',
        '{"fingerprint": "x", "classes": 7}',
        '{"fingerprint": "x", "classes": ["a", null]}',
        "[" * 100_000,
    ],
    ids=["null", "list", "empty", "number", "classes", "class", "deep"],
)
def test_cache_with_senseless_info_is_built_anew(
    benchmark: CommandLine, data_directory: Path, content: str
) -> None:
    first = benchmark(*PREPARE_SMALL)
    whole = _content(data_directory)
    (_cache_of_small(data_directory) / "info.json").write_text(content)
    assert benchmark(*PREPARE_SMALL) == first
    assert _content(data_directory) == whole


def test_class_names_are_guarded_too(data_directory: Path) -> None:
    expected = _load_small(data_directory).splits.classes
    path = _cache_of_small(data_directory) / "info.json"
    info = json.loads(path.read_text())
    info["classes"].reverse()
    path.write_text(json.dumps(info))
    assert _load_small(data_directory).splits.classes == expected


def test_file_in_the_cache_s_place_gives_way(benchmark: CommandLine, data_directory: Path) -> None:
    first = benchmark(*PREPARE_SMALL)
    cache = _cache_of_small(data_directory)
    shutil.rmtree(cache)
    cache.write_text("no folder")
    assert benchmark(*PREPARE_SMALL) == first
    assert cache.is_dir()


@pytest.fixture(scope="module")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("small")


@settings(deadline=None, max_examples=examples(150))
@given(data=st.data())
def test_no_altered_byte_gets_through(small_data: Path, data: st.DataObject) -> None:
    expected = _load_small(small_data)
    name = data.draw(st.sampled_from(FILES))
    path = _cache_of_small(small_data) / name
    content = bytearray(path.read_bytes())
    # The heads of the files, of which NumPy makes something, are worth more than the pixels.
    position = data.draw(st.integers(0, min(len(content) - 1, 300)))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    again = _load_small(small_data)
    assert again.fingerprint == expected.fingerprint == fingerprint(again.splits)


# Writing it.


def _fail_with(error: BaseException) -> Callable[..., None]:
    def fail(path: Path, array: numpy.ndarray[Any, Any]) -> None:
        Path(path).write_bytes(array.tobytes()[:100])
        raise error

    return fail


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_told_in_a_line_and_nothing_is_left(
    benchmark: CommandLine, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(numpy, "save", _fail_with(FULL))
        line = only_error(benchmark(*PREPARE_SMALL))
    assert f"{data_directory / 'decoded'}" in line
    assert "cannot be written: No space left on device (the disk is full); make room in " in line
    assert line.endswith("or choose another place for decoded images with BENCHMARK_CACHE_DIR")
    assert [*(data_directory / "decoded").iterdir()] == []
    assert benchmark(*PREPARE_SMALL).code == 0


def test_disk_that_fills_at_the_last_file(
    benchmark: CommandLine, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise FULL

    monkeypatch.setattr(os, "fsync", fail)
    line = only_error(benchmark(*PREPARE_SMALL))
    assert "(the disk is full)" in line
    assert [*(data_directory / "decoded").iterdir()] == []


def test_interruption_leaves_nothing(
    benchmark: CommandLine, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numpy, "save", _fail_with(KeyboardInterrupt()))
    assert benchmark(*PREPARE_SMALL).code == 130
    assert [*(data_directory / "decoded").iterdir()] == []


def test_data_directory_that_cannot_be_made(benchmark: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / "file" / "data"
    line = only_error(benchmark(*PREPARE_SMALL, "--data-dir", str(folder)))
    assert f"{folder}/decoded" in line
    assert "cannot be written" in line


def test_folder_that_may_not_be_written_to(
    benchmark: CommandLine, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert "cannot be written: Permission denied" in only_error(benchmark(*PREPARE_SMALL))


def test_another_place_for_decoded_images(
    benchmark: CommandLine, data_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BENCHMARK_CACHE_DIR", "~/elsewhere")
    result = benchmark(*PREPARE_SMALL)
    assert (result.code, result.err) == (0, "")
    assert not data_directory.exists()
    (cache,) = (tmp_path / "elsewhere" / "decoded").iterdir()
    assert _load_small(data_directory).cache == cache
    assert f"decoded data sets in {cache.parent}:" in benchmark("runs", "clean", "--yes").out
    assert not cache.exists()


@pytest.mark.parametrize("variable", ["BENCHMARK_DATA_DIR", "BENCHMARK_CACHE_DIR"])
def test_folder_of_a_user_whom_there_is_not(
    benchmark: CommandLine, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "~nosuchuser/data")
    line = only_error(benchmark(*PREPARE_SMALL))
    assert line.startswith(f"benchmark: error: {variable}: ~nosuchuser/data: there is no such user")


def test_file_system_that_maps_nothing_into_memory(
    benchmark: CommandLine, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = benchmark(*PREPARE_SMALL)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(numpy, "load", refuse)
    assert benchmark(*PREPARE_SMALL) == expected
    assert _load_small(data_directory).cache is None


WAITING_PLUGIN = """
import socket
import numpy
from benchmark import DatasetEntry, Images, ImageSplits, hookimpl

def load(data_directory, options):
    with socket.create_connection(("127.0.0.1", {port})) as meeting:
        meeting.recv(1)
    half = Images(numpy.zeros((6, 3, 4, 4), numpy.uint8), numpy.arange(6) % 2)
    return ImageSplits(half, half, ("even", "odd"))

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("waiting", load, identify=lambda data_directory, options: "as ever")
"""
# The plugins that are not needed cost a second each time they are imported.
PREPARE_WAITING = ("-p", "no:benchmark-models", "-p", "waiting.py", "data", "prepare", "waiting")


@pytest.fixture
def meeting(tmp_path: Path) -> Iterator[socket.socket]:
    """Where processes that load the data set ``waiting`` wait until they are told to go on."""
    with socket.create_server(("127.0.0.1", 0)) as meeting:
        meeting.settimeout(PATIENCE_SECONDS)
        port = meeting.getsockname()[1]
        (tmp_path / "waiting.py").write_text(WAITING_PLUGIN.format(port=port))
        yield meeting


def _start_waiting(machine: str = "one") -> subprocess.Popen[str]:
    """Start a process; those on one machine have their folder for temporary files in common."""
    temporary = Path(machine).absolute()
    temporary.mkdir(exist_ok=True)
    return start(*PREPARE_WAITING, environment={"TMPDIR": str(temporary)})


def _start_two(meeting: socket.socket) -> list[tuple[subprocess.Popen[str], socket.socket]]:
    """Start processes on two machines that share their files; returns when both are loading.

    Each comes with what lets it go on.
    """
    pairs = []
    for machine in ("one", "other"):
        process = _start_waiting(machine)
        pairs.append((process, meeting.accept()[0]))
    return pairs


def _let_go(connection: socket.socket) -> None:
    with connection:
        connection.sendall(b".")


def _first_line(process: subprocess.Popen[str]) -> str:
    """What a process says first of what it does."""
    assert process.stderr is not None
    assert select.select([process.stderr], [], [], PATIENCE_SECONDS)[0]
    return process.stderr.readline()


def _outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err


def _only_cache(data_directory: Path) -> Path:
    (cache,) = (data_directory / "decoded").iterdir()
    return cache


@pytest.mark.parametrize("damaged", [False, True])
def test_two_machines_may_write_at_once(
    data_directory: Path, meeting: socket.socket, damaged: bool
) -> None:
    if damaged:
        alone = _start_waiting()
        _let_go(meeting.accept()[0])
        assert _outcome(alone)[0] == 0
        _empty(_only_cache(data_directory) / "test_labels.npy")
    (one, let_one_go), (other, let_other_go) = _start_two(meeting)
    _let_go(let_one_go)
    _let_go(let_other_go)
    code, out, err = _outcome(one)
    assert (code, err) == (0, "")
    assert out.startswith("waiting: ready (")
    assert _outcome(other) == (0, out, "")
    assert sorted(_content(_only_cache(data_directory))) == sorted(FILES)


def test_who_comes_second_leaves_the_first_s_cache(
    data_directory: Path, meeting: socket.socket
) -> None:
    (first, let_first_go), (second, let_second_go) = _start_two(meeting)
    _let_go(let_first_go)
    expected = _outcome(first)
    assert expected[0] == 0
    written = _only_cache(data_directory).stat().st_ino
    _let_go(let_second_go)
    assert _outcome(second) == expected
    assert _only_cache(data_directory).stat().st_ino == written


def test_of_two_processes_on_a_machine_one_loads_and_the_other_waits(
    data_directory: Path, meeting: socket.socket
) -> None:
    one = _start_waiting()
    connection = meeting.accept()[0]
    other = _start_waiting()
    told = _first_line(other)
    assert re.fullmatch(
        "benchmark: another process is preparing .*; waiting for it to be done\n", told
    )
    assert str(data_directory) in told
    _let_go(connection)
    expected = _outcome(one)
    assert expected[0] == 0
    assert _outcome(other) == expected
    assert sorted(_content(_only_cache(data_directory))) == sorted(FILES)
    meeting.setblocking(False)
    with pytest.raises(BlockingIOError):
        meeting.accept()
    assert not [*Path("one").iterdir()]


# What other people's plugins load.


FAULTY_PLUGIN = """
import numpy
from benchmark import DatasetEntry, Images, ImageSplits, hookimpl

def images(count=6, size=4, pixels=numpy.uint8, labels=numpy.int64):
    return Images(numpy.zeros((count, 3, size, size), pixels), numpy.arange(count, dtype=labels))

def last(images):
    return Images(images.pixels.transpose(0, 2, 3, 1), images.labels)

def load(data_directory, options):
    return {loaded}

@hookimpl
def benchmark_datasets():
    yield DatasetEntry("theirs", load, identify={identify})
"""
SIX = "tuple('abcdef')"
UNSIGNED = "training pixels should be uint8 of N x C x H x W, not "
FAULTS = {
    f"ImageSplits(images(pixels=numpy.float32), images(), {SIX})": f"{UNSIGNED}float32",
    f"ImageSplits(images(pixels=numpy.int64), images(), {SIX})": f"{UNSIGNED}int64",
    f"ImageSplits(Images([[0]], [0]), images(), {SIX})": f"{UNSIGNED}a list",
    f"ImageSplits(Images(images().pixels[:, 0], images().labels), images(), {SIX})": (
        f"{UNSIGNED}uint8 (6, 4, 4)"
    ),
    f"ImageSplits(images(), Images(images().pixels, images(5).labels), {SIX})": (
        "test labels should be int64, one an image, not int64 (5,)"
    ),
    f"ImageSplits(images(labels=numpy.int32), images(), {SIX})": (
        "training labels should be int64, one an image, not int32 (6,)"
    ),
    f"ImageSplits(Images(images().pixels, [0] * 6), images(), {SIX})": (
        "training labels should be int64, one an image, not a list"
    ),
    "ImageSplits(images(), images(), tuple('abc'))": "a training label is not between 0 and 2",
    f"ImageSplits(images(), Images(images().pixels, images().labels - 1), {SIX})": (
        "a test label is not between 0 and 5"
    ),
    f"ImageSplits(images(0), images(), {SIX})": "there are no training images",
    f"ImageSplits(images(), images(0), {SIX})": "there are no test images",
    f"ImageSplits(images(size=0), images(size=0), {SIX})": "there are no training images",
    f"ImageSplits(images(), images(size=5), {SIX})": "training and test images differ in size",
    f"ImageSplits((images().pixels, images().labels), images(), {SIX})": (
        "its training half is a tuple where Images are wanted"
    ),
    f"ImageSplits(images(), None, {SIX})": "its test half is a NoneType where Images are wanted",
    "ImageSplits(images(), images(), 6)": "its classes should be a tuple of names, not 6",
    "ImageSplits(images(), images(), tuple(range(6)))": "its classes should be a tuple of names",
    "(images(), images())": "its plugin loaded a tuple where ImageSplits are wanted",
    "None": "its plugin loaded a NoneType where ImageSplits are wanted",
    f"ImageSplits(images(), images(), {SIX}, images(0))": "there are no validation images",
    f"ImageSplits(images(), images(), {SIX}, images(size=5))": (
        "training and validation images differ in size"
    ),
    f"ImageSplits(images(), images(), {SIX}, 5)": (
        "its validation half is a int where Images are wanted"
    ),
    f"ImageSplits(images(), images(), {SIX}, notes='a sentence')": (
        "its notes should be a tuple of sentences, not 'a sentence'"
    ),
    f"ImageSplits(last(images(size=5)), images(), {SIX})": (
        "training pixels (6, 5, 5, 3) seem to be N x H x W x C and should be N x C x H x W; "
        "pixels.transpose(0, 3, 1, 2) makes them so"
    ),
    f"ImageSplits(images(size=5), last(images(size=5)), {SIX})": (
        "test pixels (6, 5, 5, 3) seem to be"
    ),
}


def _write_plugin(loaded: str, identify: str = "lambda data_directory, options: ''") -> None:
    Path("theirs.py").write_text(FAULTY_PLUGIN.format(loaded=loaded, identify=identify))


@pytest.mark.parametrize(("loaded", "said"), FAULTS.items(), ids=FAULTS.values())
def test_what_a_plugin_loads_is_checked(
    benchmark: CommandLine, data_directory: Path, loaded: str, said: str
) -> None:
    _write_plugin(loaded)
    line = only_error(benchmark("-p", "theirs.py", "data", "prepare", "theirs"))
    assert line.startswith(f"benchmark: error: data set 'theirs': {said}")
    assert not data_directory.exists()


def test_pixels_with_channels_last_are_put_right_as_the_message_says(
    benchmark: CommandLine,
) -> None:
    turned = "Images(last(images(size=5)).pixels.transpose(0, 3, 1, 2), images().labels)"
    _write_plugin(f"ImageSplits({turned}, images(size=5), {SIX})")
    assert benchmark("-p", "theirs.py", "data", "prepare", "theirs").code == 0


@given(shape=st.tuples(st.integers(1, 3), *[st.integers(1, 5)] * 3))
def test_no_pixels_with_channels_second_are_refused(shape: tuple[int, ...]) -> None:
    splits = _splits(numpy.zeros(shape, numpy.uint8))
    has_channels_second = shape[1] in (1, 3, 4)
    has_channels_last = shape[3] in (1, 3, 4)
    assert (fault_in(splits) is not None) == (has_channels_last and not has_channels_second)


def test_plugin_without_identify_is_loaded_anew_each_time(
    benchmark: CommandLine, data_directory: Path
) -> None:
    _write_plugin(f"print('loading') or ImageSplits(images(), images(), {SIX})", "None")
    for _ in range(2):
        result = benchmark("-p", "theirs.py", "data", "info", "theirs")
        assert (result.code, result.err) == (0, "")
        assert "loading" in result.out
        assert "cache: none" in result.out.splitlines()
    assert not data_directory.exists()


RAISING = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "open('photos.bin')": "FileNotFoundError: [Errno 2] No such file or directory: 'photos.bin'",
    "exit('no disk')": "SystemExit: no disk",
}


@pytest.mark.parametrize(("expression", "said"), RAISING.items(), ids=RAISING.values())
@pytest.mark.parametrize("where", ["load", "identify"])
def test_what_a_plugin_raises_is_told_in_a_line(
    benchmark: CommandLine, data_directory: Path, expression: str, said: str, where: str
) -> None:
    if where == "load":
        _write_plugin(expression)
    else:
        _write_plugin("None", f"lambda data_directory, options: {expression}")
    line = only_error(benchmark("-p", "theirs.py", "data", "prepare", "theirs"))
    assert line.startswith("benchmark: error: data set 'theirs' of theirs")
    assert line.endswith(f" cannot be loaded: {said}")
    assert not data_directory.exists()


def test_traceback_of_a_plugin_is_there_for_its_author(benchmark: CommandLine) -> None:
    _write_plugin("1 / 0")
    result = benchmark("-v", "-p", "theirs.py", "data", "prepare", "theirs")
    assert result.code == 2
    assert "theirs.py" in result.err
    assert "return 1 / 0" in result.err


def test_identity_that_is_no_text(benchmark: CommandLine) -> None:
    _write_plugin("None", "lambda data_directory, options: 7")
    line = only_error(benchmark("-p", "theirs.py", "data", "prepare", "theirs"))
    assert line.endswith("identify gave a int where text is wanted")


def test_data_set_that_is_not_to_be_had(benchmark: CommandLine) -> None:
    _write_plugin("missing()")
    with Path("theirs.py").open("a") as file:
        file.write(
            "from benchmark import DatasetUnavailableError\n"
            "def missing():\n"
            "    raise DatasetUnavailableError('theirs: no disk in the drive', 'put it in')\n"
        )
    line = only_error(benchmark("-p", "theirs.py", "data", "prepare", "theirs"))
    assert line == "benchmark: error: theirs: no disk in the drive; put it in"


# Subsets and fingerprints.


def _numbered(count: int) -> Images:
    """Images that can be told from each other: each one's pixels and label are its number."""
    numbers = numpy.arange(count)
    pixels = numpy.stack([numbers // 256, numbers % 256], 1).astype(numpy.uint8)
    return Images(pixels.reshape(count, 2, 1, 1), numbers)


@settings(deadline=None)
@given(count=st.integers(1, 2000), data=st.data())
def test_subset_has_the_size_no_image_twice_and_is_always_the_same(
    count: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, count))
    images = _numbered(count)
    chosen = subset(images, size)
    assert chosen.pixels.shape == (size, 2, 1, 1)
    assert len(numpy.unique(chosen.labels)) == size
    assert chosen.labels.min() >= 0
    assert chosen.labels.max() < count
    # An image keeps its label.
    numpy.testing.assert_array_equal(chosen.pixels, images.pixels[chosen.labels])
    numpy.testing.assert_array_equal(subset(_numbered(count), size).labels, chosen.labels)


@given(count=st.integers(1, 50), more=st.integers(0, 50))
def test_subset_as_large_as_the_set_is_the_set(count: int, more: int) -> None:
    images = _numbered(count)
    assert subset(images, count + more) is images
    assert subset(images, None) is images


def test_subset_is_a_fair_draw() -> None:
    # Not the first images, of which a sorted folder's are all of one class.
    labels = subset(_numbered(10_000), 1000).labels
    counts = numpy.histogram(labels, bins=10, range=(0, 10_000))[0]
    assert (abs(counts - 100) < 50).all()


def _splits(pixels: numpy.ndarray[Any, Any], classes: tuple[str, ...] = ("a", "b")) -> ImageSplits:
    labels = numpy.arange(len(pixels), dtype=numpy.int64) % 2
    return ImageSplits(Images(pixels, labels), Images(pixels.copy(), labels.copy()), classes)


def _arrays_of(splits: ImageSplits) -> list[numpy.ndarray[Any, Any]]:
    return [getattr(half, part) for half in (splits.train, splits.test) for part in PARTS]


PARTS = ("pixels", "labels")
SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))


def _pixels(shape: tuple[int, ...], seed: int) -> numpy.ndarray[Any, Any]:
    return numpy.random.default_rng(seed).integers(0, 256, shape, numpy.uint8)


@settings(deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 1000), data=st.data())
def test_fingerprint_tells_one_value_from_another(
    shape: tuple[int, ...], seed: int, data: st.DataObject
) -> None:
    before, after = _splits(_pixels(shape, seed)), _splits(_pixels(shape, seed))
    assert fingerprint(before) == fingerprint(after)
    array = data.draw(st.sampled_from(_arrays_of(after)))
    array.flat[data.draw(st.integers(0, array.size - 1))] ^= data.draw(st.integers(1, 255))
    assert fingerprint(before) != fingerprint(after)


@settings(deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 1000))
def test_fingerprint_is_that_of_the_values_not_of_their_layout(
    shape: tuple[int, ...], seed: int
) -> None:
    pixels = _pixels(shape, seed)
    strided = numpy.repeat(pixels, 2, axis=0)[::2]
    expected = fingerprint(_splits(pixels))
    assert fingerprint(_splits(numpy.asfortranarray(pixels))) == expected
    assert fingerprint(_splits(strided)) == expected


@pytest.mark.parametrize("classes", [("b", "a"), ("a", "B"), ("a", "b", "c"), ("ab", "")])
def test_fingerprint_tells_classes_apart(classes: tuple[str, ...]) -> None:
    pixels = _pixels((4, 3, 2, 2), 0)
    assert fingerprint(_splits(pixels, classes)) != fingerprint(_splits(pixels))


def test_fingerprint_tells_shapes_and_halves_apart() -> None:
    wide, tall = _pixels((4, 1, 2, 8), 0), _pixels((4, 1, 2, 8), 0).reshape(4, 1, 8, 2)
    assert fingerprint(_splits(wide)) != fingerprint(_splits(tall))
    one, other = _splits(wide), _splits(_pixels((4, 1, 2, 8), 1))
    there = ImageSplits(one.train, other.test, one.classes)
    back = ImageSplits(other.train, one.test, one.classes)
    assert fingerprint(there) != fingerprint(back)
