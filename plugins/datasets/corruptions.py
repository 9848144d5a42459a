"""Five corruptions of images, each with severities from 1 to 5.

They are from Hendrycks and Dietterich, "Benchmarking neural network robustness to common
corruptions and perturbations" (ICLR 2019). Formulas and constants are those of the code that made
their data sets: ``ImageNet-C/create_c`` in the repository hendrycks/robustness. An image is changed
at the size that it has. Two things differ: values are rounded to the nearest, where that code cuts
the fraction off, so that the last bit of a float decides nothing; and the noise is always the same.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy
from PIL import Image

from benchmark import track

Corruption = Literal["noise", "blur", "contrast", "jpeg", "pixelate"]
Bytes = numpy.ndarray[Any, numpy.dtype[numpy.uint8]]
Constants = dict[Corruption, tuple[float, float, float, float, float]]

# make_cifar_c.py: CIFAR-10-C, images of 32 x 32.
CIFAR_10_C: Constants = {
    "noise": (0.04, 0.06, 0.08, 0.09, 0.10),
    "blur": (0.4, 0.6, 0.7, 0.8, 1),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "jpeg": (80, 65, 58, 50, 40),
    "pixelate": (0.95, 0.9, 0.85, 0.75, 0.65),
}
# make_tinyimagenet_c.py: Tiny ImageNet-C, images of 64 x 64.
TINY_IMAGENET_C: Constants = {
    "noise": (0.04, 0.08, 0.12, 0.15, 0.18),
    "blur": (0.5, 0.75, 1, 1.25, 1.5),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "jpeg": (65, 58, 50, 40, 25),
    "pixelate": (0.9, 0.8, 0.7, 0.6, 0.5),
}
# make_imagenet_c.py: ImageNet-C, images of 224 x 224.
IMAGENET_C: Constants = {
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),
    "blur": (1, 2, 3, 4, 6),
    "contrast": (0.4, 0.3, 0.2, 0.1, 0.05),
    "jpeg": (25, 18, 15, 10, 7),
    "pixelate": (0.6, 0.5, 0.4, 0.3, 0.25),
}

# What the noise is drawn from, beside the severity and the image's place in its set.
SEED = 2019
# So many pixels, of all channels, are changed at a time: 16 MiB as floats.
CHUNK_VALUES = 2**21


def constants_for(height: int, width: int) -> Constants:
    """The constants for images of that size in pixels: by the shorter side, up to 32, 64, more."""
    shorter_side = min(height, width)
    if shorter_side <= 32:
        return CIFAR_10_C
    return TINY_IMAGENET_C if shorter_side <= 64 else IMAGENET_C


def corrupt(pixels: Bytes, corruption: Corruption, severity: int) -> Bytes:
    """Return changed copies of images, uint8 of N x C x H x W, with a severity from 1 to 5.

    How image i is changed depends on nothing but itself, i and the severity.
    """
    change = _CHANGES[corruption]
    constant = constants_for(*pixels.shape[2:])[corruption][severity - 1]
    changed = numpy.empty(pixels.shape, numpy.uint8)
    size = max(1, CHUNK_VALUES // pixels[0].size)
    starts = range(0, len(pixels), size)
    for start in track(starts, "changing test images", len(starts)):
        chunk = slice(start, start + size)
        seeds = [(SEED, severity, index) for index in range(len(pixels))[chunk]]
        changed[chunk] = change(pixels[chunk], constant, seeds)
    return changed


Seeds = Sequence[tuple[int, ...]]


def _noise(pixels: Bytes, deviation: float, seeds: Seeds) -> Bytes:
    """Add normal noise with a standard deviation in units of the whole range, 255."""
    noise = [numpy.random.default_rng(seed).standard_normal(pixels.shape[1:]) for seed in seeds]
    return _rounded(pixels + 255 * deviation * numpy.stack(noise))


def _blur(pixels: Bytes, deviation: float, seeds: Seeds) -> Bytes:
    """Blur with a Gaussian of a standard deviation in pixels, the edge repeated outside.

    Beyond four deviations it is cut off, as by the filter of scikit-image that they used.
    """
    # Imported here: it takes a while, and most commands need none of it.
    from scipy.ndimage import gaussian_filter

    del seeds
    sigma = (0, 0, deviation, deviation)
    return _rounded(gaussian_filter(pixels.astype(float), sigma, mode="nearest", truncate=4))


def _contrast(pixels: Bytes, factor: float, seeds: Seeds) -> Bytes:
    """Bring each channel's values closer to their mean in the image, to a part of the distance."""
    del seeds
    mean = pixels.mean(axis=(2, 3), keepdims=True)
    return _rounded((pixels - mean) * factor + mean)


def _jpeg(pixels: Bytes, quality: float, seeds: Seeds) -> Bytes:
    """Compress as JPEG with a quality from 1 to 95, and decompress."""
    del seeds

    def compressed(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(quality))
        return Image.open(file, formats=["JPEG"])

    return _by_image(pixels, compressed)


def _pixelate(pixels: Bytes, scale: float, seeds: Seeds) -> Bytes:
    """Scale down to a part of the size and up again, both with a box filter."""
    del seeds
    height, width = pixels.shape[2:]
    small = (max(1, int(width * scale)), max(1, int(height * scale)))

    def pixelated(image: Image.Image) -> Image.Image:
        box = Image.Resampling.BOX
        return image.resize(small, box).resize((width, height), box)

    return _by_image(pixels, pixelated)


_CHANGES: dict[Corruption, Callable[[Bytes, float, Seeds], Bytes]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "jpeg": _jpeg,
    "pixelate": _pixelate,
}


def _rounded(values: numpy.ndarray[Any, Any]) -> Bytes:
    rounded: Bytes = numpy.rint(values).clip(0, 255).astype(numpy.uint8)
    return rounded


def _by_image(pixels: Bytes, change: Callable[[Image.Image], Image.Image]) -> Bytes:
    """Have Pillow change images: three channels as colours, any other number one by one in grey."""
    has_colours = pixels.shape[1] == 3
    # As Pillow has them, N x H x W x 3 or N x H x W.
    grey = pixels.reshape(-1, *pixels.shape[2:])
    arrays = pixels.transpose(0, 2, 3, 1) if has_colours else grey
    images = (Image.fromarray(numpy.ascontiguousarray(array)) for array in arrays)
    changed = numpy.stack([numpy.asarray(change(image)) for image in images])
    if has_colours:
        changed = changed.transpose(0, 3, 1, 2)
    return changed.reshape(pixels.shape)
