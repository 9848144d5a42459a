"""A digest of Python source that only a change of the code changes.

It is worked out from tokens, because these are the same in every supported version of Python, as a
syntax tree is not. Comments, docstrings, blank lines, indentation widths, line breaks within
brackets, the kind of quotes and trailing commas that mean nothing do not count.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import keyword
import re
import token
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field

# What a token says by its kind alone, whatever its text.
_STRUCTURE = {token.INDENT: "\t>", token.DEDENT: "\t<"}
_LAYOUT = (token.COMMENT, token.NL, token.ENCODING, token.ENDMARKER)
# An f-string is one token before Python 3.12; later it has a start, parts and an end.
_PARTED_STARTS = ("FSTRING_START", "TSTRING_START")
_PARTED_ENDS = ("FSTRING_END", "TSTRING_END")
_PLAIN_STRING = re.compile(r"""([A-Za-z]*)(\"\"\"|'''|"|')([^"'\\]*)\2""")
_WORD = re.compile(r"\w+")


def code_digest(source: bytes) -> str:
    """SHA-256 of a module's code, in hexadecimal; of the bytes where they are no Python."""
    digest = hashlib.sha256()
    try:
        statements = [*_statements(importlib.util.decode_source(source))]
    except (SyntaxError, ValueError, tokenize.TokenError):
        return hashlib.sha256(source).hexdigest()
    for statement in statements:
        digest.update("\0".join(statement).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def _statements(text: str) -> Iterator[list[str]]:
    """The words of each logical line but those of strings alone, which are docstrings."""
    line = _Line()
    for kind, word in _tokens(text):
        if kind in _STRUCTURE:
            yield [_STRUCTURE[kind]]
        elif kind == token.NEWLINE:
            if not line.is_docstring:
                yield line.words
            line = _Line()
        else:
            line.add(kind, word)
    if line.words and not line.is_docstring:
        yield line.words


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """The tokens that count, an f-string as one of them in every version of Python."""
    lines = text.split("\n")
    depth, start = 0, (0, 0)
    for found in tokenize.generate_tokens(io.StringIO(text).readline):
        name = token.tok_name[found.type]
        if name in _PARTED_STARTS:
            start = start if depth else found.start
            depth += 1
        elif name in _PARTED_ENDS:
            depth -= 1
            if not depth:
                yield token.STRING, _between(lines, start, found.end)
        elif not depth and found.type not in _LAYOUT:
            yield found.type, found.string


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text between two places, each a line's number, from 1, and a column's, from 0."""
    part = lines[start[0] - 1 : end[0]]
    part[-1] = part[-1][: end[1]]
    part[0] = part[0][start[1] :]
    return "\n".join(part)


@dataclass
class _Bracket:
    """An open bracket. ``commas`` in it so far; ``is_tuple`` if a comma could make it one."""

    is_tuple: bool
    commas: int = 0


@dataclass
class _Line:
    """A logical line's words as they come."""

    words: list[str] = field(default_factory=list)
    is_docstring: bool = True
    _open: list[_Bracket] = field(default_factory=list)

    def add(self, kind: int, word: str) -> None:
        if kind == token.STRING:
            word = _same_quotes(word)
            self.is_docstring &= not word.lower().startswith(("f", "rf", "fr", "t", "rt", "tr"))
        else:
            self.is_docstring = False
        if word in ("(", "[", "{"):
            self._open.append(_Bracket(is_tuple=self._begins_tuple(word)))
        elif word in (")", "]", "}") and self._open:
            self._drop_trailing_comma(self._open.pop())
        elif word == "," and self._open:
            self._open[-1].commas += 1
        elif word == "lambda" and self._open and self._open[-1].is_tuple:
            # The commas of its parameters are not the bracket's: none is dropped.
            self._open[-1].commas -= 1_000
        self.words.append(word)

    def _begins_tuple(self, bracket: str) -> bool:
        """Whether ``(x,)`` and ``(x)`` differ here: not in a call; in a subscript they do."""
        before = self.words[-1] if self.words else ""
        is_word = bool(_WORD.fullmatch(before)) and not keyword.iskeyword(before)
        follows_value = before in (")", "]", "}") or (is_word and not keyword.issoftkeyword(before))
        return {"(": not follows_value, "[": follows_value, "{": False}[bracket]

    def _drop_trailing_comma(self, bracket: _Bracket) -> None:
        if self.words[-1] == "," and (bracket.commas > 1 or not bracket.is_tuple):
            self.words.pop()


def _same_quotes(text: str) -> str:
    """A string in single quotes where that needs no other change."""
    found = _PLAIN_STRING.fullmatch(text)
    if found is None:
        return text
    return f"{found[1].lower().removeprefix('u')}'{found[3]}'"
