"""CIFAR-10, fetched, verified and read by torchvision."""

from __future__ import annotations

import http.client
import shutil
import socket
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
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
)

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

# How long to wait for an answer: a machine without a network should know soon.
NETWORK_SECONDS = 5.0

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

    Raises DatasetUnavailableError where it is neither there nor to be fetched, and DatasetError
    where what was fetched is not the archive.
    """
    # Imported here: torchvision takes seconds to import, and most commands need none of it.
    from torchvision.datasets import CIFAR10

    del options
    archive = data_directory / CIFAR10.filename
    _fetch(CIFAR10, data_directory, archive)
    train = CIFAR10(str(data_directory), train=True)
    test = CIFAR10(str(data_directory), train=False)
    return ImageSplits(_images(train), _images(test), tuple(train.classes))


def _images(half: CIFAR10) -> Images:
    pixels = numpy.ascontiguousarray(half.data.transpose(0, 3, 1, 2))
    return Images(pixels, numpy.asarray(half.targets, numpy.int64))


def _fetch(cifar10: type[CIFAR10], data_directory: Path, archive: Path) -> None:
    from torchvision.datasets.utils import check_integrity

    if _is_extracted(cifar10, data_directory):
        return
    state = "is damaged (its MD5 is another)" if archive.exists() else "is not there"
    remedy = f"put {cifar10.filename} (MD5 {cifar10.tgz_md5}) in {data_directory}, {ALTERNATIVES}"
    try:
        # Extracted anew, because torchvision would keep files of which only some are damaged.
        shutil.rmtree(data_directory / cifar10.base_folder, ignore_errors=True)
        if not check_integrity(str(archive), cifar10.tgz_md5):
            _check_reachable(cifar10.url)
        with _network_timeout():
            cifar10(str(data_directory), download=True)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise DatasetUnavailableError(
            f"cifar10: {archive} {state} and {cifar10.url} cannot be fetched ({reason})",
            remedy,
        ) from error
    except (RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        raise DatasetError(
            f"cifar10: what {cifar10.url} served is not the archive "
            f"(another MD5, or cut short); {remedy}"
        ) from error
    except OSError as error:
        raise DatasetError(f"cifar10: {data_directory}: {error.strerror or error}") from error


def _is_extracted(cifar10: type[CIFAR10], data_directory: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    files = [
        *cifar10.train_list,
        *cifar10.test_list,
        (cifar10.meta["filename"], cifar10.meta["md5"]),
    ]
    folder = data_directory / cifar10.base_folder
    return all(check_integrity(str(folder / name), md5) for name, md5 in files)


def _check_reachable(url: str) -> None:
    """Raise what asking for ``url`` raises, TimeoutError where there is no answer in time.

    Asked in a thread, because looking a name up cannot be timed out.
    """
    outcome: list[Any] = []
    thread = threading.Thread(target=_ask, args=(url, outcome), daemon=True)
    thread.start()
    thread.join(NETWORK_SECONDS)
    if not outcome:
        raise TimeoutError(f"no answer in {NETWORK_SECONDS:.0f} s")
    if isinstance(outcome[0], OSError):
        raise outcome[0]


def _ask(url: str, outcome: list[Any]) -> None:
    try:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310
        with urllib.request.urlopen(request, timeout=NETWORK_SECONDS) as answer:  # noqa: S310
            outcome.append(answer.status)
    except urllib.error.HTTPError as answer:
        # It answers; whether it serves the archive is seen when that is asked for.
        outcome.append(answer.code)
    except OSError as error:
        outcome.append(error)


@contextmanager
def _network_timeout() -> Iterator[None]:
    # torchvision opens its connection without a time limit of its own.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(NETWORK_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


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
