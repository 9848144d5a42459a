"""CIFAR-10 from a server on this machine: fetched, verified, used offline, and every way to fail.

The archive has the format of the true one, down to batches pickled by Python 2, but few images.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import struct
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy
import pytest
from torchvision.datasets import CIFAR10

from benchmark.catalog.shelves import load_catalog
from benchmark.datasets.loading import Dataset, load_dataset
from benchmark.protocol import Selection
from benchmark_plugins.datasets import cifar10
from tests.conftest import CommandLine, Result
from tests.support.tiny import PLUGIN

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
TRAINING_BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
IMAGES_A_BATCH = 24
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def pickled_by_python_2(value: Any) -> bytes:
    """Pickle as the true batches are: protocol 2, text as byte strings, an old NumPy's arrays."""
    return b"\x80\x02" + _opcodes(value) + b"."


def _opcodes(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"J" + struct.pack("<i", value)
        case str():
            return b"U" + struct.pack("<B", len(value)) + value.encode("latin1")
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value
        case tuple():
            return b"(" + b"".join(_opcodes(item) for item in value) + b"t"
        case list():
            return b"](" + b"".join(_opcodes(item) for item in value) + b"e"
        case dict():
            pairs = (_opcodes(key) + _opcodes(item) for key, item in value.items())
            return b"}(" + b"".join(pairs) + b"u"
        case numpy.ndarray():
            return _array_opcodes(value)
    raise TypeError(type(value))


def _array_opcodes(array: numpy.ndarray[Any, Any]) -> bytes:
    dtype = b"cnumpy\ndtype\n" + _opcodes(("u1", 0, 1)) + b"R"
    dtype += _opcodes((3, "|", None, None, None, -1, -1, 0)) + b"b"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    empty += _opcodes((0,)) + _opcodes("b") + b"tR"
    before, after = (1, array.shape), (False, array.tobytes())
    state = b"".join(map(_opcodes, before)) + dtype + b"".join(map(_opcodes, after))
    return empty + b"(" + state + b"tb"


@dataclass
class Published:
    """What the server has: files, the archive of them, and the images that went in."""

    files: dict[str, bytes] = field(default_factory=dict)
    pixels: dict[str, numpy.ndarray[Any, Any]] = field(default_factory=dict)
    labels: dict[str, list[int]] = field(default_factory=dict)
    archive: bytes = b""

    def half(self, batches: list[str]) -> tuple[numpy.ndarray[Any, Any], list[int]]:
        pixels = numpy.concatenate([self.pixels[batch] for batch in batches])
        labels = [label for batch in batches for label in self.labels[batch]]
        return pixels.reshape(-1, 3, 32, 32), labels


def _publish() -> Published:
    published = Published()
    generator = numpy.random.default_rng(0)
    for batch in [*TRAINING_BATCHES, "test_batch"]:
        pixels = generator.integers(0, 256, (IMAGES_A_BATCH, 3072), numpy.uint8)
        labels = generator.permutation(IMAGES_A_BATCH) % 10
        published.pixels[batch], published.labels[batch] = pixels, labels.tolist()
        content = {
            "batch_label": batch,
            "labels": labels.tolist(),
            "data": pixels,
            "filenames": [f"{index}.png" for index in range(IMAGES_A_BATCH)],
        }
        published.files[batch] = pickled_by_python_2(content)
    meta = {"num_cases_per_batch": 10_000, "label_names": list(CLASSES), "num_vis": 3072}
    published.files["batches.meta"] = pickled_by_python_2(meta)
    published.archive = _packed(published.files)
    return published


def _packed(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``content`` at every address, with the faults that are asked for."""

    daemon_threads = False

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content
        self.stated_length: int | None = len(content)
        self.status = 200
        self.speaks_http = True
        self.stalls = False
        self.refuses_head = False
        self.midway: Callable[[], None] | None = None
        self.requests: list[str] = []
        self.given_up = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/{ARCHIVE}"

    def stop(self) -> None:
        self.given_up.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.server.requests.append("HEAD")
        self.send_error(405) if self.server.refuses_head else self._send_head()

    def do_GET(self) -> None:
        server = self.server
        server.requests.append("GET")
        if not server.speaks_http:
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        elif server.status != 200:
            self.send_error(server.status)
        else:
            self._send_head()
            self._send_content(len(server.content) // 2)

    def _send_head(self) -> None:
        self.send_response(200)
        if self.server.stated_length is not None:
            self.send_header("Content-Length", str(self.server.stated_length))
        self.end_headers()

    def _send_content(self, half: int) -> None:
        server = self.server
        self.wfile.write(server.content[:half])
        if server.midway and len(server.requests) == 1:
            server.midway()
        if server.stalls:
            server.given_up.wait()
        else:
            self.wfile.write(server.content[half:])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing on stderr, which is the command's."""


@pytest.fixture(scope="module")
def published() -> Published:
    return _publish()


@pytest.fixture
def server(published: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the archive, which torchvision takes for the true one."""
    sums = {name: _md5(content) for name, content in published.files.items()}
    server = Server(published.archive)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(CIFAR10, "url", server.url)
    monkeypatch.setattr(CIFAR10, "tgz_md5", _md5(published.archive))
    monkeypatch.setattr(CIFAR10, "train_list", [[name, sums[name]] for name in TRAINING_BATCHES])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", meta)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    if not server.given_up.is_set():
        server.stop()


@pytest.fixture
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "NETWORK_SECONDS", 0.2)


def _load(data_directory: Path) -> Dataset:
    return load_dataset(Selection(name="cifar10"), load_catalog().datasets, data_directory)


def _assert_is(dataset: Dataset, published: Published) -> None:
    for images, batches in (
        (dataset.splits.train, TRAINING_BATCHES),
        (dataset.splits.test, ["test_batch"]),
    ):
        pixels, labels = published.half(batches)
        numpy.testing.assert_array_equal(images.pixels, pixels)
        assert images.labels.tolist() == labels
    assert dataset.splits.classes == CLASSES


def _only_error(result: Result) -> str:
    assert result.code == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith("benchmark: error: cifar10: ")
    return line


def _assert_says_what_to_do(line: str, data_directory: Path) -> None:
    assert f"put {ARCHIVE} (MD5 {CIFAR10.tgz_md5}) in {data_directory}" in line
    assert "-d synthetic" in line
    assert "-d imagefolder --set dataset.root=FOLDER" in line


def _files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_first_use_fetches_and_decodes(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    dataset = _load(data_directory)
    assert result.out == f"cifar10: ready ({dataset.fingerprint[:12]})\n"
    _assert_is(dataset, published)
    assert server.requests == ["GET"]
    assert (data_directory / ARCHIVE).read_bytes() == published.archive


def test_info_counts_images_and_classes(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    result = benchmark("data", "info", "cifar10")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert "image: 3 x 32 x 32" in lines
    assert f"training images: {5 * IMAGES_A_BATCH}" in lines
    assert f"test images: {IMAGES_A_BATCH}" in lines
    counts = [row.split() for row in lines[-10:]]
    _, test_labels = published.half(["test_batch"])
    assert [row[0] for row in counts] == list(CLASSES)
    assert [int(row[2]) for row in counts] == numpy.bincount(test_labels, minlength=10).tolist()


def test_later_use_needs_no_server(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    first = benchmark("data", "info", "cifar10")
    server.stop()
    assert benchmark("data", "info", "cifar10") == first
    # The archive alone is enough, too.
    shutil.rmtree(data_directory / "decoded")
    assert benchmark("data", "info", "cifar10") == first
    _assert_is(_load(data_directory), published)


def test_archive_put_there_by_hand_is_used_offline(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    server.stop()
    data_directory.mkdir()
    (data_directory / ARCHIVE).write_bytes(published.archive)
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    _assert_is(_load(data_directory), published)


def test_extracted_folder_is_enough_offline(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    server.stop()
    _extract(published, data_directory)
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    _assert_is(_load(data_directory), published)


def _extract(published: Published, data_directory: Path) -> Path:
    folder = data_directory / FOLDER
    folder.mkdir(parents=True)
    for name, content in published.files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("damage", ["altered", "cut short", "missing"])
def test_damaged_extracted_file_is_made_good_from_the_archive_offline(
    benchmark: CommandLine,
    server: Server,
    published: Published,
    data_directory: Path,
    name: str,
    damage: str,
) -> None:
    server.stop()
    damaged = _extract(published, data_directory) / name
    (data_directory / ARCHIVE).write_bytes(published.archive)
    if damage == "altered":
        damaged.write_bytes(published.files[name].replace(b"\x00", b"\x01"))
    elif damage == "cut short":
        damaged.write_bytes(published.files[name][:100])
    else:
        damaged.unlink()
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    _assert_is(_load(data_directory), published)


def test_truncated_archive_is_fetched_again(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    data_directory.mkdir()
    (data_directory / ARCHIVE).write_bytes(published.archive[:1000])
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    _assert_is(_load(data_directory), published)
    assert (data_directory / ARCHIVE).read_bytes() == published.archive


def test_truncated_archive_is_named_offline(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    server.stop()
    data_directory.mkdir()
    (data_directory / ARCHIVE).write_bytes(published.archive[:1000])
    line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert f"{data_directory / ARCHIVE} is damaged (its MD5 is another)" in line
    assert f"{CIFAR10.url} cannot be fetched" in line
    _assert_says_what_to_do(line, data_directory)


def _truncates(server: Server) -> None:
    server.content = server.content[:-1000]


def _serves_another_archive(server: Server) -> None:
    server.content = _packed({"readme.html": b"moved"})
    server.stated_length = len(server.content)


@pytest.mark.parametrize("spoil", [_truncates, _serves_another_archive])
def test_server_of_something_else(
    benchmark: CommandLine,
    server: Server,
    data_directory: Path,
    spoil: Callable[[Server], None],
) -> None:
    spoil(server)
    line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert f"what {CIFAR10.url} served is not the archive" in line
    _assert_says_what_to_do(line, data_directory)
    assert _files_in(data_directory) == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_server_that_refuses(
    benchmark: CommandLine, server: Server, data_directory: Path, status: int
) -> None:
    server.status = status
    line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert f"{data_directory / ARCHIVE} is not there" in line
    assert f"{CIFAR10.url} cannot be fetched (HTTP Error {status}: " in line
    _assert_says_what_to_do(line, data_directory)
    assert _files_in(data_directory) == []


def test_server_that_speaks_another_protocol(
    benchmark: CommandLine, server: Server, data_directory: Path
) -> None:
    server.speaks_http = False
    line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert f"{CIFAR10.url} cannot be fetched (SSH-2.0" in line
    _assert_says_what_to_do(line, data_directory)


def test_refused_connection(
    benchmark: CommandLine, server: Server, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as bound:
        # Bound, so that nobody else listens there.
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{bound.getsockname()[1]}/{ARCHIVE}")
        line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert "Connection refused" in line
    _assert_says_what_to_do(line, data_directory)


@pytest.mark.usefixtures("impatient")
def test_server_that_never_answers(
    benchmark: CommandLine, server: Server, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{ARCHIVE}"
        monkeypatch.setattr(CIFAR10, "url", url)
        line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert f"{url} cannot be fetched (" in line
    _assert_says_what_to_do(line, data_directory)


@pytest.mark.usefixtures("impatient")
def test_server_that_stops_halfway(
    benchmark: CommandLine, server: Server, data_directory: Path
) -> None:
    server.stalls = True
    line = _only_error(benchmark("data", "prepare", "cifar10"))
    assert f"{CIFAR10.url} cannot be fetched (" in line
    _assert_says_what_to_do(line, data_directory)
    assert _files_in(data_directory) == []


@pytest.mark.usefixtures("impatient")
def test_name_that_is_looked_up_for_ever(
    benchmark: CommandLine, server: Server, data_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up, looked_up = threading.Event(), threading.Event()

    def look_up(*_: object) -> list[Any]:
        given_up.wait()
        looked_up.set()
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    line = _only_error(benchmark("data", "prepare", "cifar10"))
    given_up.set()
    assert looked_up.wait(10)
    assert "cannot be fetched (no answer in 0.2 s)" in line


def test_server_that_refuses_head_is_good_enough(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    server.refuses_head = True
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    _assert_is(_load(data_directory), published)


def test_server_that_states_no_length_is_good_enough(
    benchmark: CommandLine, server: Server, published: Published, data_directory: Path
) -> None:
    server.stated_length = None
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    _assert_is(_load(data_directory), published)


def test_two_machines_may_fetch_at_once(
    benchmark: CommandLine,
    server: Server,
    published: Published,
    data_directory: Path,
    tmp_path: Path,
) -> None:
    second: list[Dataset] = []

    def load_elsewhere() -> None:
        """Where temporary files are others, and so no lock is shared."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(tmp_path))
            second.append(_load(data_directory))

    # The second begins and ends while the first has half of the archive.
    server.midway = load_elsewhere
    result = benchmark("data", "prepare", "cifar10")
    assert (result.code, result.err) == (0, "")
    assert server.requests == ["GET", "GET"]
    _assert_is(second[0], published)
    _assert_is(_load(data_directory), published)


def test_nothing_is_left_but_archive_and_cache(
    benchmark: CommandLine, server: Server, data_directory: Path
) -> None:
    assert benchmark("data", "prepare", "cifar10").code == 0
    top = [name for name in _files_in(data_directory) if "/" not in name]
    assert top == [ARCHIVE, "decoded"]


def test_data_directory_that_cannot_be_made(
    benchmark: CommandLine, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    folder = tmp_path / "file" / "data"
    line = _only_error(benchmark("data", "prepare", "cifar10", "--data-dir", str(folder)))
    assert str(folder) in line


# Where data lies that may only be read.

NOBODY = 65_534


@pytest.fixture
def outside() -> Iterator[Path]:
    """A folder to which every user finds the way, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def shared(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, still empty; beside it is where one is."""
    monkeypatch.chdir(outside)
    monkeypatch.setenv("BENCHMARK_DATA_DIR", str(outside / "shared"))
    (outside / "shared").mkdir()
    return outside / "shared"


@pytest.fixture
def kept(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where decoded images go from there; anybody may write to it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(outside / "cache"))
    (outside / "cache").mkdir()
    (outside / "cache").chmod(0o777)
    return outside / "cache" / "benchmark" / "decoded"


@contextmanager
def read_only(folder: Path, benchmark: CommandLine) -> Iterator[None]:
    """Have a folder be one that may only be read, and by another user where this one is root."""
    # What is imported late might not be readable for that user.
    small = ("--set", "train_images=10", "--set", "test_images=10", "--set", "size=8")
    elsewhere = ("--data-dir", str(folder.parent / "imports"))
    assert benchmark("data", "prepare", "synthetic", *small, *elsewhere).code == 0
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


def _pack(published: Published, data_directory: Path) -> None:
    (data_directory / ARCHIVE).write_bytes(published.archive)


@pytest.mark.parametrize("give", [_extract, _pack])
def test_data_that_may_only_be_read_is_used(
    benchmark: CommandLine,
    server: Server,
    published: Published,
    shared: Path,
    kept: Path,
    give: Callable[[Published, Path], Any],
) -> None:
    server.stop()
    give(published, shared)
    before = _files_in(shared)
    with read_only(shared, benchmark):
        first = benchmark("data", "prepare", "cifar10")
        again = benchmark("data", "prepare", "cifar10")
        dataset = _load(shared)
    assert first.code == 0
    assert first.err == (
        f"benchmark: {shared}/decoded: cannot be written to (Permission denied); "
        f"decoded images are kept in {kept}\n"
    )
    assert (again.code, again.out, again.err) == (0, first.out, "")
    assert dataset.cache is not None
    assert dataset.cache.parent == kept
    _assert_is(dataset, published)
    assert _files_in(shared) == before


def test_another_place_is_named_where_nothing_can_be_kept(
    benchmark: CommandLine,
    server: Server,
    published: Published,
    shared: Path,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared))
    _extract(published, shared)
    (outside / "elsewhere").mkdir()
    (outside / "elsewhere").chmod(0o777)
    with read_only(shared, benchmark):
        refused = benchmark("data", "prepare", "cifar10")
        monkeypatch.setenv("BENCHMARK_CACHE_DIR", str(outside / "elsewhere"))
        remedied = benchmark("data", "prepare", "cifar10")
    (line,) = refused.err.splitlines()
    assert refused.code == 2
    assert line.startswith(f"benchmark: error: {shared}/benchmark/decoded/cifar10-")
    assert line.endswith(
        "cannot be written: Permission denied; "
        "choose another place for decoded images with BENCHMARK_CACHE_DIR"
    )
    assert (remedied.code, remedied.err) == (0, "")
    assert len([*(outside / "elsewhere" / "decoded").iterdir()]) == 1


def test_a_run_on_data_that_may_only_be_read(
    benchmark: CommandLine,
    server: Server,
    published: Published,
    shared: Path,
    kept: Path,
    outside: Path,
) -> None:
    _extract(published, shared)
    (outside / "tiny.py").write_text(PLUGIN)
    (outside / "config.yaml").write_text(CONFIG)
    (outside / "runs-of-others").mkdir()
    (outside / "runs-of-others").chmod(0o777)
    command = ("run", "config.yaml", "-p", "tiny.py")
    # For the imports, as above.
    assert benchmark(*command, "--data-dir", "imports").code == 0
    with read_only(shared, benchmark):
        result = benchmark(*command, "--out", "runs-of-others")
    assert (result.code, result.err.count(f"kept in {kept}")) == (0, 1), result.err
    assert "cifar10" in result.out


def test_what_was_decoded_for_all_is_used_by_all(
    benchmark: CommandLine, server: Server, published: Published, shared: Path, kept: Path
) -> None:
    expected = benchmark("data", "prepare", "cifar10")
    server.stop()
    with read_only(shared, benchmark):
        assert benchmark("data", "prepare", "cifar10") == expected
    assert not kept.exists()


def test_what_was_decoded_for_all_and_is_damaged_is_passed_over(
    benchmark: CommandLine, server: Server, published: Published, shared: Path, kept: Path
) -> None:
    expected = benchmark("data", "prepare", "cifar10")
    server.stop()
    (labels,) = shared.glob("decoded/*/test_labels.npy")
    labels.write_bytes(b"damaged")
    with read_only(shared, benchmark):
        result = benchmark("data", "prepare", "cifar10")
        dataset = _load(shared)
    assert (result.code, result.out) == (0, expected.out)
    _assert_is(dataset, published)
    assert dataset.cache is not None
    assert dataset.cache.parent == kept


def test_clean_removes_what_is_kept_elsewhere(
    benchmark: CommandLine, server: Server, published: Published, shared: Path, kept: Path
) -> None:
    _extract(published, shared)
    with read_only(shared, benchmark):
        assert benchmark("data", "prepare", "cifar10").code == 0
        result = benchmark("runs", "clean", "--yes")
        assert result.code == 0
        assert f"decoded data sets in {kept}:" in result.out
        assert not [*kept.iterdir()]


@pytest.mark.parametrize("damaged", ["archive", "batch", "nothing"])
def test_data_that_is_missing_where_nothing_can_be_fetched_to(
    benchmark: CommandLine,
    server: Server,
    published: Published,
    shared: Path,
    kept: Path,
    damaged: str,
) -> None:
    state = f"{shared / ARCHIVE} is not there"
    if damaged == "archive":
        (shared / ARCHIVE).write_bytes(published.archive[:1000])
        state = f"{shared / ARCHIVE} is damaged (its MD5 is another)"
    elif damaged == "batch":
        batch = _extract(published, shared) / "data_batch_3"
        batch.unlink()
        state = f"{batch} is damaged or missing, {state}"
    with read_only(shared, benchmark):
        line = _only_error(benchmark("data", "prepare", "cifar10"))
        fetched = benchmark("data", "prepare", "cifar10", "--data-dir", str(kept.parent))
    assert f"cifar10: {state}, and {shared} cannot be written to (Permission denied); " in line
    assert f"put {ARCHIVE} (MD5 {CIFAR10.tgz_md5}) in {shared}, name a folder" in line
    # The remedy works.
    assert (fetched.code, fetched.err) == (0, "")


CONFIG = """
dataset: [cifar10, {name: synthetic, train_images: 64, test_images: 20, size: 8}]
models: [tiny]
epochs: 1
batch_size: 32
device: cpu
precision: fp32
"""


def _run_tiny(benchmark: CommandLine, tmp_path: Path) -> Result:
    (tmp_path / "tiny.py").write_text(PLUGIN)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return benchmark("run", "config.yaml", "-p", "tiny.py")


@pytest.mark.usefixtures("data_directory")
def test_run_falls_back_to_synthetic_and_says_so(
    benchmark: CommandLine, server: Server, tmp_path: Path
) -> None:
    server.stop()
    result = _run_tiny(benchmark, tmp_path)
    assert result.code == 0
    (said,) = [line for line in result.err.splitlines() if "cifar10" in line]
    assert said.startswith("benchmark: cifar10: ")
    assert "cannot be fetched" in said
    assert said.endswith("; trying synthetic")
    assert "synthetic" in result.out
    assert "cifar10" not in result.out


@pytest.mark.usefixtures("data_directory")
def test_run_uses_the_first_that_can_be_had(
    benchmark: CommandLine, server: Server, tmp_path: Path
) -> None:
    result = _run_tiny(benchmark, tmp_path)
    assert result.code == 0
    assert "cifar10" in result.out
    assert "synthetic" not in result.out + result.err
