"""Reads values such as ``tag(log, interval(1e-4, 1e-1))`` and ``[1, 'a']``: Hydra's override grammar, and Python calls.

Nothing is run. A value is plain data, or a `Call` with its arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tunecli.config.reader import scalar

_MAX_DEPTH = 40
_MAX_CHARACTERS = 20_000
_NAME = re.compile(r"\s*([A-Za-z_][\w.]*)\s*\(")
_KEYWORD = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)")
_BARE = re.compile(r"[^\s,()\[\]{}'\"]([^,()\[\]{}'\"]*[^\s,()\[\]{}'\"])?")
_PYTHON = {"None": None, "True": True, "False": False}


class CallError(ValueError):
    """A text is no value; the message says where."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its name without a module, and its arguments by place and by name."""

    name: str
    positional: tuple[Any, ...]
    named: dict[str, Any]

    @property
    def word(self) -> str:
        """The name after the last dot."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Several:
    """Values that are separated by commas, outside of any bracket."""

    values: tuple[Any, ...]


def parse_value(text: str) -> Any:
    """The value that a text describes: plain data, a `Call`, or `Several`.

    Raises:
        CallError: the text is no value.
    """
    if len(text) > _MAX_CHARACTERS:
        raise CallError(f"a value must have at most {_MAX_CHARACTERS:,} characters")
    reader = _Reader(text)
    values = [reader.value(0)]
    while reader.skip(","):
        values.append(reader.value(0))
    reader.end()
    return values[0] if len(values) == 1 else Several(tuple(values))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def skip(self, mark: str) -> bool:
        """Skip blanks and then ``mark``; whether it was there."""
        self._blanks()
        if not self._text.startswith(mark, self._at):
            return False
        self._at += len(mark)
        return True

    def end(self) -> None:
        self._blanks()
        if self._at < len(self._text):
            raise CallError(
                f"unexpected `{self._text[self._at : self._at + 20]}` at character {self._at + 1}"
            )

    def value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise CallError(f"nested more than {_MAX_DEPTH} levels deep")
        self._blanks()
        if called := _NAME.match(self._text, self._at):
            self._at = called.end()
            return self._call(called[1], depth)
        first = self._text[self._at : self._at + 1]
        match first:
            case "[":
                self._at += 1
                return self._items("]", depth)
            case "(":
                self._at += 1
                return self._items(")", depth)
            case "{":
                self._at += 1
                return self._pairs(depth)
            case "'" | '"':
                return self._quoted(first)
        bare = _BARE.match(self._text, self._at)
        if bare is None:
            raise CallError(f"missing value at character {self._at + 1}")
        self._at = bare.end()
        return plain(bare[0])

    def _call(self, name: str, depth: int) -> Call:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        while not self.skip(")"):
            if positional or named:
                self._expect(",")
                if self.skip(")"):  # a comma after the last argument
                    break
            if keyword := _KEYWORD.match(self._text, self._at):
                self._at = keyword.end()
                named[keyword[1]] = self.value(depth + 1)
            else:
                positional.append(self.value(depth + 1))
        return Call(name, tuple(positional), named)

    def _items(self, closing: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not self.skip(closing):
            if items:
                self._expect(",")
                if self.skip(closing):
                    break
            items.append(self.value(depth + 1))
        return items

    def _pairs(self, depth: int) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        while not self.skip("}"):
            if pairs:
                self._expect(",")
                if self.skip("}"):
                    break
            self._blanks()
            quote = self._text[self._at : self._at + 1]
            if quote in ("'", '"'):
                key = self._quoted(quote)
            else:
                match = re.compile(r"[^\s:,{}]+").match(self._text, self._at)
                key = match[0] if match else ""
                self._at += len(key)
            self._expect(":")
            pairs[key] = self.value(depth + 1)
        return pairs

    def _quoted(self, quote: str) -> str:
        match = re.compile(rf"{quote}((?:[^\\{quote}]|\\.)*){quote}", re.DOTALL).match(self._text, self._at)
        if match is None:
            raise CallError(f"the quote {quote} at character {self._at + 1} is never closed")
        self._at = match.end()
        return re.sub(r"\\(.)", r"\1", match[1])

    def _expect(self, mark: str) -> None:
        if not self.skip(mark):
            raise CallError(f"missing `{mark}` at character {self._at + 1}")

    def _blanks(self) -> None:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1


def plain(text: str) -> Any:
    """A bare word as a number, a boolean, null or a text.

    Raises:
        CallError: it is a number with too many digits.
    """
    if text in _PYTHON:
        return _PYTHON[text]
    try:
        return scalar(text)
    except ValueError as error:
        raise CallError(str(error)) from None
