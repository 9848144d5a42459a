"""The data set ``corrupted``: its corruptions beside other libraries', and what stays as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image
from torch.nn import functional
from torchvision.transforms.functional import adjust_contrast, gaussian_blur

from benchmark import Images, ImageSplits
from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.loading import load_dataset
from benchmark.protocol import Selection
from benchmark_plugins.datasets import corruptions
from benchmark_plugins.datasets.corruptions import Corruption, constants_for, corrupt
from benchmark_plugins.datasets.synthetic import SyntheticOptions, load as draw
from tests.conftest import CommandLine, only_error
from tests.support.tiny import write_tiny_run

NAMES: tuple[Corruption, ...] = get_args(Corruption)
SEVERITIES = range(1, 6)
SMALL = {"name": "synthetic", "train_images": 64, "test_images": 20, "size": 8}


def _images(size: int, count: int = 20) -> corruptions.Bytes:
    options = SyntheticOptions(train_images=10, test_images=count, size=size)
    return draw(Path("unused"), options).test.pixels


def _random(shape: tuple[int, ...]) -> corruptions.Bytes:
    return numpy.random.default_rng(0).integers(0, 256, shape, numpy.uint8)


def _constant(name: Corruption, size: int, severity: int) -> float:
    return constants_for(size, size)[name][severity - 1]


# The corruptions.


@pytest.mark.parametrize(
    ("size", "published"),
    # As they stand in create_c/ of github.com/hendrycks/robustness.
    [
        (
            32,  # make_cifar_c.py
            "[0.04, 0.06, .08, .09, .10] [.4, .6, 0.7, .8, 1] [.75, .5, .4, .3, 0.15] "
            "[80, 65, 58, 50, 40] [0.95, 0.9, 0.85, 0.75, 0.65]",
        ),
        (
            64,  # make_tinyimagenet_c.py
            "[0.04, 0.08, .12, .15, .18] [.5, .75, 1, 1.25, 1.5] [.4, .3, .2, .1, 0.05] "
            "[65, 58, 50, 40, 25] [0.9, 0.8, 0.7, 0.6, 0.5]",
        ),
        (
            224,  # make_imagenet_c.py
            "[.08, .12, 0.18, 0.26, 0.38] [1, 2, 3, 4, 6] [0.4, .3, .2, .1, .05] "
            "[25, 18, 15, 10, 7] [0.6, 0.5, 0.4, 0.3, 0.25]",
        ),
    ],
)
def test_the_constants_are_the_published_ones(size: int, published: str) -> None:
    tables = [
        tuple(float(number) for number in table.strip("[").split(","))
        for table in published.replace("] [", "][").rstrip("]").split("]")
    ]
    assert constants_for(size, size) == dict(zip(NAMES, tables, strict=True))


@pytest.mark.parametrize(
    ("height", "width", "as_for"), [(8, 8, 32), (33, 33, 64), (65, 65, 224), (500, 32, 32)]
)
def test_other_sizes_have_the_constants_of_the_next_larger(
    height: int, width: int, as_for: int
) -> None:
    assert constants_for(height, width) is constants_for(as_for, as_for)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [16, 32, 64, 100])
def test_a_higher_severity_changes_images_more(name: Corruption, size: int) -> None:
    images = _images(size)
    changes = [abs(corrupt(images, name, s).astype(int) - images).mean() for s in SEVERITIES]
    assert changes[0] > 1
    assert changes == sorted(changes)
    assert len(set(changes)) == 5


def _blurred(images: torch.Tensor, deviation: float) -> torch.Tensor:
    radius = int(4 * deviation + 0.5)
    # torchvision mirrors the image at its edges: those are cut off again.
    padded = functional.pad(images, [radius] * 4, mode="replicate")
    blurred = gaussian_blur(padded, 2 * radius + 1, deviation)
    return blurred[..., radius:-radius, radius:-radius]


def _faded(images: torch.Tensor, factor: float) -> torch.Tensor:
    # For a grey image torchvision fades to its mean.
    faded = [adjust_contrast(c[None] / 255, factor) for image in images for c in image]
    return 255 * torch.stack(faded).reshape(images.shape)


@pytest.mark.parametrize(("name", "theirs"), [("blur", _blurred), ("contrast", _faded)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size", "severity"), [(32, 1), (32, 5), (64, 4), (80, 2)])
def test_a_corruption_is_that_of_torchvision(
    name: Corruption,
    theirs: Callable[[torch.Tensor, float], torch.Tensor],
    channels: int,
    size: int,
    severity: int,
) -> None:
    images = _images(size, 10)[:, :channels]
    expected = theirs(torch.from_numpy(images.copy()).double(), _constant(name, size, severity))
    changed = corrupt(images, name, severity)
    # Rounded to the nearest.
    assert abs(changed - expected.numpy()).max() < 0.501


@pytest.mark.parametrize(("severity", "quality"), [(1, 80), (2, 65), (3, 58), (4, 50), (5, 40)])
def test_jpeg_images_are_those_of_files_of_the_published_quality(
    severity: int, quality: int
) -> None:
    images = _images(32, 10)
    grey = images[:, :1]
    changed, changed_grey = (corrupt(pixels, "jpeg", severity) for pixels in (images, grey))
    for index, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save("colours.jpg", quality=quality)
        Image.fromarray(grey[index, 0]).save("grey.jpg", quality=quality)
        numpy.testing.assert_array_equal(
            Image.open("colours.jpg"), changed[index].transpose(1, 2, 0)
        )
        numpy.testing.assert_array_equal(Image.open("grey.jpg"), changed_grey[index, 0])


@pytest.mark.parametrize(("severity", "side"), [(2, 2), (5, 4)])
def test_pixelated_images_have_the_means_of_squares(severity: int, side: int) -> None:
    images = _images(224, 10)
    means = functional.avg_pool2d(torch.from_numpy(images.copy()).double(), side)
    expected = means.repeat_interleave(side, 2).repeat_interleave(side, 3).numpy()
    # Pillow rounds after each direction.
    assert abs(corrupt(images, "pixelate", severity) - expected).max() <= 1


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_is_normal_and_of_the_published_deviation(severity: int) -> None:
    grey = numpy.full((400, 3, 32, 32), 128, numpy.uint8)
    noise = corrupt(grey, "noise", severity).astype(float) - 128
    deviation = 255 * _constant("noise", 32, severity)
    count = noise.size
    assert abs(noise.mean()) < 4 * deviation / count**0.5
    # Rounding to whole numbers adds a twelfth to the variance.
    assert noise.std() == pytest.approx(
        (deviation**2 + 1 / 12) ** 0.5, abs=4 * deviation / count**0.5
    )
    within = (abs(noise) < deviation).mean()
    assert within == pytest.approx(0.6827, abs=0.02)
    # No two images, and no two channels, have the same noise.
    assert len({channel.tobytes() for image in noise for channel in image}) == 1200


def test_noise_depends_on_the_place_and_the_severity_alone() -> None:
    images = _random((30, 3, 9, 7))
    whole = corrupt(images, "noise", 2)
    numpy.testing.assert_array_equal(corrupt(images[:11], "noise", 2), whole[:11])
    same = numpy.repeat(images[:1], 2, axis=0)
    first, second = corrupt(same, "noise", 2)
    assert (first != second).any()


SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))


@given(
    shape=SHAPES,
    name=st.sampled_from(NAMES),
    severity=st.integers(1, 5),
    chunk_values=st.integers(1, 5000),
)
def test_images_of_any_size_are_changed_one_by_one_and_the_originals_stay(
    shape: tuple[int, ...], name: Corruption, severity: int, chunk_values: int
) -> None:
    images = _random(shape)
    before = images.copy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corruptions, "CHUNK_VALUES", chunk_values)
        changed = corrupt(images, name, severity)
    numpy.testing.assert_array_equal(images, before)
    assert changed.shape == shape
    assert changed.dtype == numpy.uint8
    # In chunks or all at once.
    numpy.testing.assert_array_equal(corrupt(images, name, severity), changed)
    if name != "noise":
        alone = corrupt(images[-1:], name, severity)
        numpy.testing.assert_array_equal(alone, changed[-1:])


@given(shade=st.integers(0, 255), name=st.sampled_from(["blur", "contrast", "pixelate"]))
def test_an_image_of_one_shade_stays_as_it_is(shade: int, name: Corruption) -> None:
    images = numpy.full((1, 1, 12, 12), shade, numpy.uint8)
    numpy.testing.assert_array_equal(corrupt(images, name, 3), images)


def test_every_machine_changes_images_alike() -> None:
    # JPEG is left out: how it decompresses is for the machine's libjpeg to say.
    digest = hashlib.sha256()
    for name in ("noise", "blur", "contrast", "pixelate"):
        digest.update(corrupt(_images(32), name, 3).tobytes())
    assert digest.hexdigest()[:16] == "8c8ced9dde173366"


# The data set.


def _splits(test: Images) -> ImageSplits:
    train = Images(_random((4, 3, 8, 8)), numpy.arange(4))
    return ImageSplits(train, test, tuple("abcd"))


@pytest.mark.parametrize("name", NAMES)
def test_only_test_pixels_are_changed_and_all_else_is_handed_on(name: Corruption) -> None:
    test = Images(_images(8, 10), numpy.arange(10) % 4)
    splits = _splits(test)
    entry = load_catalog().datasets["corrupted"].entry
    options = entry.options.from_mapping({"corruption": name, "severity": 2})
    changed = entry.load(Path("unused"), options, splits)
    assert changed.train is splits.train
    assert changed.classes is splits.classes
    assert changed.test.labels is test.labels
    numpy.testing.assert_array_equal(changed.test.pixels, corrupt(test.pixels, name, 2))


def test_training_images_are_those_of_the_wrapped_data_sets_cache() -> None:
    shelf = load_catalog().datasets
    dataset = load_dataset(Selection(name="corrupted", options={"of": SMALL}), shelf, Path("data"))
    (cache,) = Path("data/decoded").iterdir()
    assert cache.name.startswith("synthetic-")
    train = dataset.splits.train.pixels
    assert isinstance(train, numpy.memmap)
    assert str(train.filename) == str((cache / "train_pixels.npy").absolute())


def _info(benchmark: CommandLine, *settings: str) -> dict[str, str]:
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    result = benchmark("data", "info", "corrupted", *arguments)
    assert (result.code, result.err) == (0, "")
    facts = result.out.partition("\n\n")[0].splitlines()
    return dict(fact.split(": ", 1) for fact in facts)


SMALL_SETTING = "of={name: synthetic, train_images: 64, test_images: 20, size: 8}"


def test_each_corruption_and_severity_is_another_fingerprint(benchmark: CommandLine) -> None:
    seen = [
        _info(benchmark, SMALL_SETTING, f"corruption={name}", f"severity={severity}")
        for name in NAMES
        for severity in (1, 5)
    ]
    assert len({info["fingerprint"] for info in seen}) == 10
    assert {(info["image"], info["test images"], info["cache"]) for info in seen} == {
        ("3 x 8 x 8", "20", "none")
    }
    of_defaults = _info(benchmark, SMALL_SETTING)
    assert of_defaults == _info(benchmark, SMALL_SETTING, "corruption=noise", "severity=3")


def test_corruptions_can_be_put_on_one_another(benchmark: CommandLine) -> None:
    small = SMALL_SETTING.removeprefix("of=")
    blurred = f"of={{name: corrupted, corruption: blur, of: {small}}}"
    both = _info(benchmark, blurred, "corruption=contrast")["fingerprint"]
    assert both != _info(benchmark, SMALL_SETTING, "corruption=contrast")["fingerprint"]
    assert both != _info(benchmark, SMALL_SETTING, "corruption=blur")["fingerprint"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["of=synthetic", "severity=0"], "--set severity: should be greater than or equal to 1"),
        (["of=synthetic", "severity=6"], "--set severity: should be less than or equal to 5"),
        (["of=synthetic", "corruption=fog"], "--set corruption: should be 'noise', 'blur', 'con"),
        (["of=syntetic"], "--set of: unknown data set 'syntetic' - did you mean 'synthetic'?"),
        (["of.sise=3"], "--set of.sise: of: should be a name, or a mapping with a name"),
        ([], "data set 'corrupted' wraps another one, and its option 'of' does not say which: "),
    ],
)
def test_what_cannot_be_meant_is_one_line(
    benchmark: CommandLine, settings: list[str], said: str
) -> None:
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    line = only_error(benchmark("data", "info", "corrupted", *arguments))
    assert line.startswith(f"benchmark: error: {said}")


def _record(run: Path) -> dict[str, Any]:
    (file,) = run.glob("trials/*/*/*/trial.json")
    record: dict[str, Any] = json.loads(file.read_text())
    return record


def test_a_run_trains_as_without_and_is_tested_on_changed_images(benchmark: CommandLine) -> None:
    arguments = [*write_tiny_run(Path()), "-m", "tiny", "--seeds", "1"]
    assert benchmark(*arguments).code == 0
    text = Path("tiny.yaml").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("dataset: "))
    wrapped = line.removeprefix("dataset: ")
    corrupted = f"dataset: {{name: corrupted, corruption: contrast, severity: 5, of: {wrapped}}}"
    Path("tiny.yaml").write_text(text.replace(line, corrupted))
    result = benchmark(*arguments, "--set", "name=changed")
    assert result.code == 0
    assert "corrupted (" in result.out
    (plain,), (changed,) = Path("runs").glob("tiny-*"), Path("runs").glob("changed-*")
    before, after = _record(plain), _record(changed)
    losses = [[epoch["train_loss"] for epoch in record["epochs"]] for record in (before, after)]
    assert losses[0] == losses[1]
    assert before["epochs"][-1]["test_loss"] != after["epochs"][-1]["test_loss"]
    # The weights that the first run kept do as well on the second one's images as its own do.
    settings = ("--set", "dataset.corruption=contrast", "--set", "dataset.severity=5")
    evaluated = benchmark(
        *("evaluate", str(plain), "-d", "corrupted", *settings, "--format", "json")
    )
    assert evaluated.code == 0
    (row,) = json.loads(evaluated.out)
    assert row["images"] == "changed"
    assert row["accuracy"] == after["epochs"][-1]["test_accuracy"]
    assert row["original_accuracy"] == before["epochs"][-1]["test_accuracy"]
