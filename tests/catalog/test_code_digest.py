"""Only a change of the code changes its digest."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.catalog.code_digest import code_digest
from tests.support.sampling import sampled

CODE = '''"""A module."""

import math


class Net(Base):
    """A class."""

    rate: float = 0.5
    """An attribute."""

    def forward(self, x, *, scale=(1,)):
        """A method."""
        # A comment.
        y = self.layer(x, "relu", scale)  # another one
        return f"{y!r:>{self.width}} and {scale['k']}", y[0, :], [y]


if math.pi:
    a = lambda x, y: x
    b = 1
'''
ANOTHER_LAYOUT = """import math
class Net(
    Base,
):
  rate: float = \\
      0.5
  def forward(
      self,
      x,
      *,
      scale=(
          1,
      ),
  ):

      y = self.layer(
          x, 'relu',
          scale,
      )
      return f"{y!r:>{self.width}} and {scale['k']}", y[0, :], [y,]
if math.pi:
        a = lambda x, y: x
        b = 1"""


def digest(code: str) -> str:
    return code_digest(code.encode())


def test_comments_docstrings_and_layout_do_not_count() -> None:
    assert digest(ANOTHER_LAYOUT) == digest(CODE)
    assert digest(CODE.replace("\n", "\r\n")) == digest(CODE)
    assert code_digest(b"\xef\xbb\xbf" + CODE.encode()) == digest(CODE)
    latin = "# -*- coding: latin-1 -*-\nx = '\xe9'\n"
    assert code_digest(latin.encode("latin-1")) == digest("x = '\xe9'\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.5", "0.25"),
        ("'k'", "'l'"),
        ("'relu'", "'gelu'"),
        ("!r", "!s"),
        (">{", "<{"),
        ("[0, :]", "[:, 0]"),
        ("        b = 1", "b = 1"),
        ("scale=(\n          1,\n      )", "scale=(1)"),
        ("[y,]", "(y,)"),
        ("class Net(\n    Base,\n)", "class Net"),
        ("      return", "      x\n      return"),
        ("x, y: x", "x, y: y"),
        ("import math", "import cmath as math"),
    ],
)
def test_code_counts(before: str, after: str) -> None:
    assert before in ANOTHER_LAYOUT
    changed = ANOTHER_LAYOUT.replace(before, after)
    ast.parse(changed)
    assert digest(changed) != digest(ANOTHER_LAYOUT)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = (1,)", "x = (1)"),
        ("x = a[1,]", "x = a[1]"),
        ("x = (lambda a, b: a,)", "x = (lambda a, b: a)"),
        ("x = yield_(1,)", "x = yield_((1,))"),
        ("for x in (1,): pass", "for x in (1): pass"),
        ("return_ = not (1,)", "return_ = not (1)"),
        ("x = 'a' 'b'", "x = 'a', 'b'"),
        ("x = r'\\n'", "x = '\\n'"),
        ("x = b'a'", "x = 'a'"),
        ("x = 'it\"s'", 'x = "it\'s"'),
        ("if a:\n  b\n  c", "if a:\n  b\nc"),
        ("if a:\n  if b:\n    c\n  d", "if a:\n  if b:\n    c\n    d"),
        ("f'{a}'", "f'{b}'"),
        ("x = '''a\nb'''", "x = 'a' 'b'"),
    ],
)
def test_unlike_code_has_unlike_digests(one: str, other: str) -> None:
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f(1,)", "f(1)"),
        ("f(1, 2,)", "f(1, 2)"),
        ("x = [1,]", "x = [1]"),
        ("x = {1,}", "x = {1}"),
        ("x = (1, 2,)", "x = (1, 2)"),
        ("f(a)(b,)", "f(a)(b)"),
        ("x = u'a'", 'x = "a"'),
        ("x = '''a'''", "x = 'a'"),
        ("def f(a, *, b,): pass", "def f(a, *, b): pass"),
        ("x = 1\n\n\n\ny = 2", "x = 1\ny = 2"),
        ("if a:\n\tb", "if a:\n        b"),
    ],
)
def test_alike_code_has_one_digest(one: str, other: str) -> None:
    assert digest(one) == digest(other)


def test_what_is_no_python_counts_as_it_is() -> None:
    assert code_digest(b"x = (") != code_digest(b"x = ( ")
    assert code_digest(b"\xff") != code_digest(b"\xfe")
    assert code_digest(b"if x:\n    a\n  b\n") != code_digest(b"if x:\n    a\n b\n")


def test_the_digest_is_the_same_in_every_version_of_python() -> None:
    # Worked out with 3.11, whose tokens of f-strings are others than those from 3.12 on.
    assert digest(CODE) == "704af7d92204703130e6acac518d09ab5f3c8d7420f975e52b837d89ce61d202"


FILES = sorted((Path(__file__).parents[2] / "benchmark").rglob("[a-z]*.py"))
STYLE = ("--config", "format.indent-style = 'tab'", "--line-length", "100")


@pytest.mark.parametrize("file", sampled("code digest", FILES, 5), ids=lambda file: file.stem)
def test_a_formatter_changes_no_digest(file: Path) -> None:
    text = file.read_text()
    assert digest(formatted(text)) == digest(text)


def test_the_formatter_lays_the_code_out_in_another_way() -> None:
    # Not each file of the project: one of a line or two is laid out as it was.
    assert formatted(CODE) != CODE
    assert digest(formatted(CODE)) == digest(CODE)


def formatted(text: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", *STYLE, "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
