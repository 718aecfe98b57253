"""``${env:NAME}``: values that a file takes from the environment, and their removal from every text.

The tree keeps the reference as it is written, and so do the record, the screen and exported files. The value is
inserted when a trial runs or its data are read for a check, and removed again from error messages. ``$${env:NAME}`` is
the literal text ``${env:NAME}``. Only values are searched for references, not keys.

A value is found as it is; as Python, JSON, HTML, a shell or a URL quotes it; in hexadecimal and in Base64, at any
offset of the encoded bytes; in other case; and broken over lines. A text that was cut may contain one end of a value,
which is searched for at the text's ends and around each ``…``. Values of one or two characters stay: they hide
nothing, and removing them would remove half of any text.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from tunecli.errors import UsageError

Place = tuple[str | int, ...]
_WITH_PLACEHOLDERS = (("command",), ("env",))
_WRITTEN = re.compile(r"(\$?)\$\{env:([^{}]*)\}")


def references(tree: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Each variable that a plain tree of maps, lists and scalars uses, with the path of the text that contains it."""
    match tree:
        case str():
            yield from ((place, match[2]) for match in _WRITTEN.finditer(tree) if not match[1])
        case Mapping():
            for key, item in tree.items():
                yield from references(item, (*place, key))
        case list() | tuple():
            for number, item in enumerate(tree):
                yield from references(item, (*place, number))


def names_in(tree: Any) -> tuple[str, ...]:
    """The variables that a plain tree uses, each once, in its order."""
    names: dict[str, None] = {}
    _add_names(tree, names)
    return tuple(names)


def _add_names(tree: Any, names: dict[str, None]) -> None:
    # As `references`, without the paths: every trial asks three times.
    if isinstance(tree, str):
        if "${" in tree:
            names.update((name, None) for _, name in references(tree))
    elif isinstance(tree, list | tuple):
        for item in tree:
            _add_names(item, names)
    elif isinstance(tree, Mapping):
        for item in tree.values():
            _add_names(item, names)


def escaped(text: str) -> str:
    """A text in which no part is read as a variable."""
    return _WRITTEN.sub(lambda match: f"${match[0]}", text)


def resolved(tree: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """A plain tree, such as a concrete trial, with each ``${env:NAME}`` replaced by the variable's value.

    In a trial's ``command`` and in ``env``, where braces are placeholders, the braces of a value are doubled, so that
    they stay literal.

    Raises:
        UsageError: a variable is not set; the message has its name and the path of the text.
    """
    return _resolved(tree, (), environment)


def _resolved(tree: Any, place: Place, environment: Mapping[str, str]) -> Any:
    match tree:
        case str():
            return _WRITTEN.sub(lambda match: _value(match, place, environment), tree)
        case Mapping():
            return {key: _resolved(item, (*place, key), environment) for key, item in tree.items()}
        case list() | tuple():
            return [_resolved(item, (*place, number), environment) for number, item in enumerate(tree)]
        case _:
            return tree


def _value(match: re.Match[str], place: Place, environment: Mapping[str, str]) -> str:
    is_itself, name = match.groups()
    value = match[0][1:] if is_itself else environment.get(name)
    if value is None:
        at = f"`{'.'.join(map(str, place))}`: " if place else ""
        raise UsageError(f"{at}the environment variable `{name}` is not set", hint=f"run `export {name}=…`")
    return value.replace("{", "{{").replace("}", "}}") if place[:1] in _WITH_PLACEHOLDERS else value


def redacted(
    text: str, names: Iterable[str], environment: Mapping[str, str] = os.environ, *, is_cut: bool = False
) -> str:
    """``text`` with the value of each of the variables ``names`` replaced by ``${env:NAME}``.

    Args:
        text: any text.
        names, environment: the variables, and the source of their values.
        is_cut: whether the text may start or end within a value, or contain a ``…`` in one.
    """
    return redactor_for(names, environment).redacted(text, is_cut=is_cut)


_SHORTEST = 3

_SHORTEST_LOOSE = (
    6  # shorter values are looked for as they are spelled alone, not in other case or over lines
)

_SHORTEST_BASE64 = 4
_SHORTEST_PART = 4  # of a value that a cut has left
_LONGEST_PART = 2000
_MOST_CUTS = 100
_AROUND = 64  # characters around a value that belong to it
_BLOCK_BYTES = 4096
_BREAK = re.compile(r"[ \t]*(?:\\?\r?\n|\r|\\r\\n|\\n)[ \t]*")
_CUT = re.compile(r"…|\.\.\.")
_AROUND_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{0,2}={0,2}")


class _Span(NamedTuple):
    start: int
    end: int
    name: str


class Redactor:
    """Replaces the values of some variables by ``${env:NAME}`` in any number of texts."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """``values`` are by the variables' names."""
        exact: dict[str, str] = {}
        loose: dict[str, str] = {}
        in_base64: dict[str, str] = {}
        self._values: dict[str, str] = {}
        for name, value in values.items():
            if len(value.strip()) < _SHORTEST:
                continue
            self._values[value] = name
            for spelling in _spellings(value):
                exact.setdefault(spelling, name)
                if len(folded := _folded(spelling)[0]) >= _SHORTEST_LOOSE:
                    loose.setdefault(folded, name)
            for part in _base64_parts(value):
                in_base64.setdefault(part, name)
        self._exact, self._loose, self._base64 = (_Needles(each) for each in (exact, loose, in_base64))

    def __bool__(self) -> bool:
        return bool(self._values)

    def redacted(self, text: str, *, is_cut: bool = False) -> str:
        """``text`` without the values.

        Args:
            text: any text.
            is_cut: whether the text may start or end within a value, or contain a ``…`` in one.
        """
        spans = self._spans(text)
        if is_cut:
            spans += self._parts(text)
        return _replaced(text, spans)

    @property
    def reach(self) -> int:
        """A number of characters that no value exceeds, in any of its spellings and with line breaks in it."""
        longest = max((needles.longest for needles in (self._exact, self._loose, self._base64)), default=0)
        return 2 * longest + _AROUND

    def released(self, text: str, end: int) -> tuple[str, str]:
        """Redact the first part of a text whose continuation is not known yet.

        Args:
            text: the text so far.
            end: where the first part ends; it ends earlier where a value lies across this position.

        Returns:
            The redacted first part, and the unchanged rest.
        """
        spans = _merged(self._spans(text))
        crossed = next((span for span in spans if span.start < end < span.end), None)
        if crossed is not None and crossed.start > 0:
            end = crossed.start
        before = [span._replace(end=min(span.end, end)) for span in spans if span.start < end]
        return _replaced(text[:end], before), text[end:]

    def _spans(self, text: str) -> list[_Span]:
        if not self._values:
            return []
        spans = list(self._exact.found(text))
        folded, places = _folded(text)
        joined, joined_places = _joined(text)
        spans += _moved(self._loose.found(folded), places)
        for span in _moved(self._base64.found(joined), joined_places):
            after = _AROUND_BASE64.match(text, span.end)
            before = _AROUND_BASE64.match(text[max(0, span.start - 2) : span.start][::-1])
            start = span.start - (len(before[0].rstrip("=")) if before else 0)
            spans.append(_Span(start, after.end() if after else span.end, span.name))
        return spans

    def _parts(self, text: str) -> list[_Span]:
        """Parts of values at cuts of the text: the start of a value before a cut, and the end of one after it."""
        marked = (match.span() for match in islice(_CUT.finditer(text), _MOST_CUTS))
        cuts = [(0, 0), (len(text), len(text)), *marked]
        spans = []
        for value, name in self._values.items():
            for spelling in (value, *_spellings(value)):
                for end, start in cuts:
                    if n := _overlap(text[max(0, end - len(spelling)) : end], spelling):
                        spans.append(_Span(end - n, end, name))
                    if n := _overlap(text[start : start + len(spelling)][::-1], spelling[::-1]):
                        spans.append(_Span(start, start + n, name))
        return spans


class RedactedStream:
    """Removes values from a stream of bytes; a value may lie across the borders of the pieces in which it comes."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor, self._reach = redactor, redactor.reach
        self._held = bytearray()

    @property
    def is_waiting(self) -> bool:
        """Whether `whole_lines` returns something."""
        return b"\n" in self._held or b"\r" in self._held

    def add(self, data: bytes) -> bytes:
        """Add a piece; return the redacted bytes that no later piece can change."""
        self._held += data
        if len(self._held) < max(_BLOCK_BYTES, 2 * self._reach):
            return b""
        text = self._text()
        return self._release(text, len(text) - self._reach)

    def whole_lines(self) -> bytes:
        """The held lines that are complete. Call it after a while without a new piece, so that people see them."""
        text = self._text()
        return self._release(text, max(text.rfind("\n"), text.rfind("\r")) + 1)

    def rest(self) -> bytes:
        """Everything that is held; nothing follows."""
        text = self._redactor.redacted(self._text(), is_cut=True)
        self._held.clear()
        return text.encode(errors="surrogateescape")

    def _text(self) -> str:
        return self._held.decode(errors="surrogateescape")

    def _release(self, text: str, end: int) -> bytes:
        released, held = self._redactor.released(text, max(0, end))
        self._held[:] = held.encode(errors="surrogateescape")
        return released.encode(errors="surrogateescape")


@lru_cache(maxsize=64)
def redactor_of(values: tuple[tuple[str, str], ...]) -> Redactor:
    """A redactor for names and values."""
    return Redactor(dict(values))


def redactor_for(names: Iterable[str], environment: Mapping[str, str]) -> Redactor:
    """The redactor for the variables ``names`` of an environment."""
    return redactor_of(tuple((name, environment.get(name, "")) for name in dict.fromkeys(names)))


class _Needles:
    """Texts that are searched together, overlaps included; of two at one position, the longer is found."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        longest_first = sorted(names, key=len, reverse=True)
        self._pattern = re.compile(f"(?=({'|'.join(map(re.escape, longest_first))}))") if names else None

    @property
    def longest(self) -> int:
        """The length of the longest text."""
        return max(map(len, self._names), default=0)

    def found(self, text: str) -> Iterator[_Span]:
        if self._pattern is not None:
            for match in self._pattern.finditer(text):
                yield _Span(match.start(1), match.end(1), self._names[match[1]])


def _spellings(value: str) -> set[str]:
    lines = [line.strip() for line in value.splitlines()]
    whole = {value, *lines}
    spelled = set(whole)
    for each in whole:
        in_json = [json.dumps(each, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)]
        data = each.encode("utf-8", "surrogateescape")
        spelled |= {repr(each)[1:-1], ascii(each)[1:-1], *in_json, html.escape(each), shlex.quote(each)[1:-1]}
        spelled |= {json.dumps(text)[1:-1] for text in in_json}
        spelled |= {
            quote(data, safe=""),
            quote(data),
            quote_plus(data),
            "".join(f"%{byte:02X}" for byte in data),
        }
        spelled |= {data.hex(), "".join(f"\\x{byte:02x}" for byte in data)}
        spelled |= {each.upper(), each.lower()} if len(each) >= _SHORTEST_LOOSE else set()
    return {each for each in spelled if len(each.strip()) >= _SHORTEST}


def _base64_parts(value: str) -> set[str]:
    """Parts that every Base64 text with the value's bytes contains, with any bytes around them."""
    parts = set()
    for data in {value.encode("utf-8", "surrogateescape"), value.strip().encode("utf-8", "surrogateescape")}:
        for n_before in range(3):
            encoded = base64.b64encode(b"\0" * n_before + data).decode()
            first, last = (0, 2, 3)[n_before], 8 * (n_before + len(data)) // 6
            part = encoded[first:last]
            parts |= {part, part.replace("+", "-").replace("/", "_")}
    return {part for part in parts if len(part) >= _SHORTEST_BASE64}


def _joined(text: str) -> tuple[str, list[int] | None]:
    """``text`` without line breaks, and the position of each character in ``text``; None if nothing was removed."""
    if not any(mark in text for mark in ("\n", "\r", "\\n")):
        return text, None
    kept: list[str] = []
    places: list[int] = []
    at = 0
    for match in _BREAK.finditer(text):
        kept.append(text[at : match.start()])
        places.extend(range(at, match.start()))
        at = match.end()
    kept.append(text[at:])
    places.extend(range(at, len(text)))
    return "".join(kept), places


def _folded(text: str) -> tuple[str, list[int] | None]:
    """The same in lower case, of the same length as the original."""
    joined, places = _joined(text)
    lowered = joined.lower()
    if len(lowered) != len(joined):
        lowered = "".join(low if len(low := character.lower()) == 1 else character for character in joined)
    return lowered, places


def _moved(spans: Iterable[_Span], places: list[int] | None) -> Iterator[_Span]:
    for start, end, name in spans:
        yield _Span(start, end, name) if places is None else _Span(places[start], places[end - 1] + 1, name)


def _overlap(before: str, spelling: str) -> int:
    """Number of characters at the end of ``before`` that start ``spelling``; 0 if there are too few."""
    if before[-_SHORTEST_PART:] not in spelling:
        return 0
    for n in range(min(len(before), len(spelling), _LONGEST_PART), _SHORTEST_PART - 1, -1):
        if before.endswith(spelling[:n]):
            return n
    return 0


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """Spans in order; overlapping spans become one with the name of the first."""
    merged: list[_Span] = []
    for span in sorted(spans, key=lambda item: (item.start, -item.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(span.end, merged[-1].end))
        else:
            merged.append(span)
    return merged


def _replaced(text: str, spans: Iterable[_Span]) -> str:
    pieces, at = [], 0
    for span in _merged(spans):
        pieces += [text[at : span.start], f"${{env:{span.name}}}"]
        at = span.end
    return "".join([*pieces, text[at:]])
