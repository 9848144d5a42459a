"""CIFAR-10: the archive and its checksums as torchvision knows them, read by torchvision."""

from __future__ import annotations

import http.client
import math
import tempfile
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from benchmark import (
    DatasetEntry,
    DatasetError,
    DatasetUnavailableError,
    Images,
    ImageSplits,
    Options,
    hookimpl,
    track,
)
from benchmark.errors import system_fault
from benchmark.running_clock import TICK_SECONDS, RunningClock

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

# How long to wait for an answer: a machine without a network should know soon.
NETWORK_SECONDS = 5.0
MEBIBYTE = 2**20

ALTERNATIVES = (
    "or use another data set: -d synthetic, or your own images with "
    "-d imagefolder --set dataset.root=FOLDER"
)


class Cifar10Options(Options):
    """CIFAR-10 has no options."""


def identify(data_directory: Path, options: Cifar10Options) -> str:
    """The archive's MD5: what the cache holds was read from exactly that archive."""
    from torchvision.datasets import CIFAR10

    del data_directory, options
    return f"cifar10 {CIFAR10.tgz_md5}"


def load(data_directory: Path, options: Cifar10Options) -> ImageSplits:
    """Fetch the archive unless it is there, verify and read it.

    Raises DatasetUnavailableError where it is neither there nor to be fetched whole, and
    DatasetError where the disk refuses.
    """
    # Imported here: torchvision takes seconds to import, and most commands need none of it.
    from torchvision.datasets import CIFAR10

    del options
    try:
        if _is_extracted(CIFAR10, data_directory):
            return _read(CIFAR10, data_directory)
        archive = data_directory / CIFAR10.filename
        _fetch(CIFAR10, archive)
        return _read_archive(CIFAR10, archive)
    except OSError as error:
        raise DatasetError(f"cifar10: {data_directory}: {system_fault(error)}") from error


def _is_extracted(cifar10: type[CIFAR10], folder: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    files = [
        *cifar10.train_list,
        *cifar10.test_list,
        (cifar10.meta["filename"], cifar10.meta["md5"]),
    ]
    return all(
        check_integrity(str(folder / cifar10.base_folder / name), md5) for name, md5 in files
    )


def _read_archive(cifar10: type[CIFAR10], archive: Path) -> ImageSplits:
    """Read the archive by way of a folder of our own, which no other process takes away."""
    from torchvision.datasets.utils import extract_archive

    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".cifar10-") as folder:
        extract_archive(str(archive), folder)
        return _read(cifar10, Path(folder))


def _read(cifar10: type[CIFAR10], folder: Path) -> ImageSplits:
    with warnings.catch_warnings():
        # The batches were pickled in 2009; NumPy 2.4.0 to 2.4.4 warn of how they write a dtype.
        warnings.filterwarnings("ignore", r"dtype\(\): align should be passed")
        train = cifar10(str(folder), train=True)
        test = cifar10(str(folder), train=False)
    return ImageSplits(_images(train), _images(test), tuple(train.classes))


def _images(half: CIFAR10) -> Images:
    pixels = numpy.ascontiguousarray(half.data.transpose(0, 3, 1, 2))
    return Images(pixels, numpy.asarray(half.targets, numpy.int64))


def _fetch(cifar10: type[CIFAR10], archive: Path) -> None:
    """See to it that the whole archive is there."""
    from torchvision.datasets.utils import check_integrity

    if check_integrity(str(archive), cifar10.tgz_md5):
        return
    state = "is damaged (its MD5 is another)" if archive.exists() else "is not there"
    remedy = f"put {cifar10.filename} (MD5 {cifar10.tgz_md5}) in {archive.parent}, {ALTERNATIVES}"
    try:
        whole = _download(cifar10.url, archive, cifar10.tgz_md5)
    except (
        urllib.error.URLError,
        TimeoutError,
        ConnectionError,
        http.client.HTTPException,
    ) as error:
        raise DatasetUnavailableError(
            f"cifar10: {archive} {state} and {cifar10.url} cannot be fetched ({_reason(error)})",
            remedy,
        ) from error
    if not whole:
        # A network that asks for a login first, say: no reason not to try another data set.
        raise DatasetUnavailableError(
            f"cifar10: what {cifar10.url} served is not the archive (another MD5, or cut short)",
            remedy,
        )


def _reason(error: Exception) -> str:
    # An HTTPError's own text has the status; any other URLError's is wrapped around its reason.
    if isinstance(error, urllib.error.URLError) and not isinstance(error, urllib.error.HTTPError):
        return str(error.reason)
    # What a server says in place of HTTP can have several lines.
    return " ".join(str(error).split()) or type(error).__name__


def _download(url: str, archive: Path, md5: str) -> bool:
    """Fetch the archive and put it in its place; returns whether it is the one of that MD5.

    torchvision's own download writes a bar of its own to stderr, and to the archive's place while
    another process may do the same.
    """
    from torchvision.datasets.utils import check_integrity

    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".cifar10-") as folder:
        partial = Path(folder) / archive.name
        with _open(url) as answer, partial.open("wb") as file:
            blocks = iter(lambda: answer.read(MEBIBYTE), b"")
            total = math.ceil((answer.length or 0) / MEBIBYTE)
            for block in track(blocks, f"fetching {archive.name}, MiB", total):
                file.write(block)
        whole: bool = check_integrity(str(partial), md5)
        if whole:
            partial.replace(archive)
    return whole


def _open(url: str) -> http.client.HTTPResponse:
    """Ask for ``url``; raises what that raises, and TimeoutError where no answer comes in time.

    Asked in a thread, because looking a name up cannot be timed out.
    """
    outcome: list[http.client.HTTPResponse | Exception] = []
    thread = threading.Thread(target=_ask, args=(url, outcome), daemon=True)
    thread.start()
    with RunningClock() as clock:
        while thread.is_alive() and clock.seconds < NETWORK_SECONDS:
            thread.join(TICK_SECONDS)
    if not outcome:
        raise TimeoutError(f"no answer in {NETWORK_SECONDS:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _ask(url: str, outcome: list[Any]) -> None:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "benchmark"})  # noqa: S310
        outcome.append(urllib.request.urlopen(request, timeout=NETWORK_SECONDS))  # noqa: S310
    except urllib.error.HTTPError as answer:
        answer.close()
        outcome.append(answer)
    except Exception as error:
        # Raised again in the thread that waits.
        outcome.append(error)


@hookimpl
def benchmark_datasets() -> Iterator[DatasetEntry]:
    """Offer the data set."""
    yield DatasetEntry(
        "cifar10",
        load,
        "60,000 photographs, 32 x 32, 10 classes",
        Cifar10Options,
        identify,
    )
