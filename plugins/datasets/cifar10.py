"""CIFAR-10: the archive and its checksums as torchvision knows them.

It is read where it lies, packed or extracted, and nothing is written beside it but an archive that
is fetched: given data may lie where it can only be read.
"""

from __future__ import annotations

import http.client
import math
import pickle
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterable, Iterator, Sequence
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
    RunningClock,
    hookimpl,
    is_read_only,
    system_fault,
    track,
)

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

# How long to wait for an answer: a machine without a network should know soon.
NETWORK_SECONDS = 5.0
TICK_SECONDS = 0.25
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
    """Fetch the archive unless it is there, packed or extracted; verify and read it.

    Raises DatasetUnavailableError where it is neither there nor to be fetched whole, and
    DatasetError where the disk refuses.
    """
    # Imported here: torchvision takes seconds to import, and most commands need none of it.
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    del options
    folder, archive = data_directory / CIFAR10.base_folder, data_directory / CIFAR10.filename
    try:
        damaged = _damaged_files(CIFAR10, folder)
        if not damaged:
            names = _checksums(CIFAR10)
            return _read(CIFAR10, ((name, (folder / name).read_bytes()) for name in names))
        if not check_integrity(str(archive), CIFAR10.tgz_md5):
            _fetch(CIFAR10, archive, _state(folder, damaged, archive))
        return _read(CIFAR10, _unpacked(CIFAR10, archive))
    except OSError as error:
        where = error.filename or data_directory
        raise DatasetError(f"cifar10: {where}: {system_fault(error)}") from error


def _checksums(cifar10: type[CIFAR10]) -> dict[str, str]:
    """The MD5 of each file of the archive that is read."""
    meta = (cifar10.meta["filename"], cifar10.meta["md5"])
    return dict((*cifar10.train_list, *cifar10.test_list, meta))


def _damaged_files(cifar10: type[CIFAR10], folder: Path) -> list[Path]:
    """Those that are not whole in a folder into which the archive was extracted."""
    from torchvision.datasets.utils import check_integrity

    files = {folder / name: md5 for name, md5 in _checksums(cifar10).items()}
    return [file for file, md5 in files.items() if not check_integrity(str(file), md5)]


def _state(folder: Path, damaged: Sequence[Path], archive: Path) -> str:
    """What is wrong with what is there."""
    packed = "is damaged (its MD5 is another)" if archive.exists() else "is not there"
    extracted = f"{damaged[0]} is damaged or missing, " if folder.exists() else ""
    return f"{extracted}{archive} {packed}"


def _unpacked(cifar10: type[CIFAR10], archive: Path) -> Iterator[tuple[str, bytes]]:
    """The archive's files and their names; nothing is extracted to disk."""
    wanted = {f"{cifar10.base_folder}/{name}": name for name in _checksums(cifar10)}
    with tarfile.open(archive) as members:
        for member in members:
            content = members.extractfile(member) if member.name in wanted else None
            if content is not None:
                yield wanted[member.name], content.read()


def _read(cifar10: type[CIFAR10], files: Iterable[tuple[str, bytes]]) -> ImageSplits:
    with warnings.catch_warnings():
        # The batches were pickled in 2009; NumPy 2.4.0 to 2.4.4 warn of how they write a dtype.
        warnings.filterwarnings("ignore", r"dtype\(\): align should be passed")
        # Not just any pickles: their checksums are those of the true ones.
        read = {name: pickle.loads(content, encoding="latin1") for name, content in files}  # noqa: S301
    train, test = (
        _images([read[name] for name, _ in half])
        for half in (cifar10.train_list, cifar10.test_list)
    )
    return ImageSplits(train, test, tuple(read[cifar10.meta["filename"]][cifar10.meta["key"]]))


def _images(batches: Sequence[Any]) -> Images:
    pixels = numpy.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    labels = numpy.concatenate([batch["labels"] for batch in batches])
    return Images(pixels, labels.astype(numpy.int64))


def _fetch(cifar10: type[CIFAR10], archive: Path, state: str) -> None:
    """Put the whole archive in its place; ``state`` is what there is instead."""
    place = f"put {cifar10.filename} (MD5 {cifar10.tgz_md5}) in {archive.parent}"
    remedy = f"{place}, {ALTERNATIVES}"
    try:
        whole = _download(cifar10.url, archive, cifar10.tgz_md5)
    except (
        urllib.error.URLError,
        TimeoutError,
        ConnectionError,
        http.client.HTTPException,
    ) as error:
        raise DatasetUnavailableError(
            f"cifar10: {state} and {cifar10.url} cannot be fetched ({_reason(error)})", remedy
        ) from error
    except OSError as error:
        if not is_read_only(error):
            raise
        raise DatasetUnavailableError(
            f"cifar10: {state}, and {archive.parent} cannot be written to ({error.strerror})",
            f"{place}, name a folder to fetch it into with --data-dir, {ALTERNATIVES}",
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
        "60,000 photos, 32 x 32, 10 classes",
        Cifar10Options,
        identify,
    )
