"""Hydra's overrides: which ranges ``lr=tag(log, interval(1e-4, 1e-1))`` and ``bs=choice(16, 32)`` are.

The ranges are those of Hydra's Optuna sweeper, where the upper end of `range` can be drawn. In Hydra's own sweeper,
which tries every combination, `range` leaves it out, as in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tunecli.importers import ranges
from tunecli.importers.account import number_of
from tunecli.importers.calls import Call, Several, parse_value
from tunecli.importers.ranges import Imported, NoRangeError

OVERRIDE = re.compile(r"([+~]{0,2})([A-Za-z_][\w./@:-]*)=(.*)", re.DOTALL)
_SWEEPS = {"choice", "range", "interval", "glob"}
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line, and its line."""

    text: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep of one override: the call, and whether it is on a log scale, or cast to whole numbers."""

    call: Call
    is_log: bool = False
    is_int: bool = False

    @property
    def needs_optuna(self) -> bool:
        """Whether Hydra's own sweeper cannot run it."""
        return self.call.word == "interval"


def sweep_of(text: str) -> Sweep | None:
    """The sweep that a value describes; None if it is one plain value.

    Raises:
        CallError: the text is no value.
    """
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in text[1:-1]:
        text = text[1:-1]  # quotes of a shell
    parsed = parse_value(text)
    if isinstance(parsed, Several):
        return Sweep(Call("choice", parsed.values, {}))
    return _unwrapped(parsed, 0) if isinstance(parsed, Call) else None


def _unwrapped(call: Call, depth: int) -> Sweep | None:
    """The sweep within casts and tags."""
    if call.word in _SWEEPS:
        return Sweep(call)
    inner = next((part for part in reversed(call.positional) if isinstance(part, Call)), None)
    if inner is None and call.word in ("shuffle", "sort", "int", "float", "str") and len(call.positional) > 1:
        inner = Call("choice", call.positional, {})
    sweep = _unwrapped(inner, depth + 1) if inner is not None else None
    if sweep is None:
        return None
    is_log = sweep.is_log or (call.word == "tag" and "log" in call.positional)
    return Sweep(sweep.call, is_log, sweep.is_int or call.word == "int" or "int" in call.positional)


def range_of(sweep: Sweep, *, is_optuna: bool) -> Imported:
    """The range of a sweep.

    Raises:
        NoRangeError: it has no counterpart, or its numbers make no range.
    """
    call = sweep.call
    match call.word:
        case "choice":
            values = call.positional
            if len(values) == 1 and isinstance(values[0], list):
                values = tuple(values[0])
            if any(isinstance(value, Call) for value in values):
                raise NoRangeError("a choice among calls has no counterpart", "list the values")
            return ranges.choice([_cast(value, sweep) for value in values])
        case "interval":
            low, high = _numbers(call, ("start", "end"))
            is_int = sweep.is_int or (type(low) is int and type(high) is int)
            word = ("log" if sweep.is_log else "") + ("int" if is_int else "uniform")
            return ranges.whole(word, low, high) if is_int else ranges.bounded(word, low, high)
        case "range":
            return _range(sweep, is_optuna=is_optuna)
        case _:
            raise NoRangeError(f"`{call.word}` has no counterpart", "list the values: choice(a, b)")


def _range(sweep: Sweep, *, is_optuna: bool) -> Imported:
    call = sweep.call
    given = dict(zip(("start", "stop", "step"), call.positional, strict=False)) | call.named
    if "stop" not in given:
        given = {"stop": given.get("start"), "start": 0, **{k: v for k, v in given.items() if k == "step"}}
    start, stop, step = (
        number_of(given.get(key, 1 if key == "step" else 0)) for key in ("start", "stop", "step")
    )
    if start is None or stop is None or step is None or step == 0:
        raise NoRangeError("`range` needs numbers: start, stop and step")
    if not is_optuna:
        return ranges.choice(list(_python_range(start, stop, step)))
    if step < 0:
        raise NoRangeError("the step of `range` must be above 0")
    if all(type(number) is int for number in (start, stop, step)):
        return ranges.whole("int", start, stop, step)
    last = Decimal(str(start)) + (Decimal(str(stop)) - Decimal(str(start))) // Decimal(str(step)) * Decimal(
        str(step)
    )
    return Imported(ranges.bounded("uniform", float(start), float(last), step=float(step)).value)


def _python_range(start: float, stop: float, step: float) -> Iterator[int | float]:
    value, end, by = Decimal(str(start)), Decimal(str(stop)), Decimal(str(step))
    is_int = all(type(number) is int for number in (start, stop, step))
    if abs((end - value) / by) > _MOST_VALUES:
        raise NoRangeError(f"`range` has more than {_MOST_VALUES:,} values")
    while value < end if by > 0 else value > end:
        yield int(value) if is_int else float(value)
        value += by


def _numbers(call: Call, names: tuple[str, str]) -> tuple[int | float, int | float]:
    given = dict(zip(names, call.positional, strict=False)) | call.named
    low, high = (number_of(given.get(name)) for name in names)
    if low is None or high is None:
        raise NoRangeError(f"`{call.word}` needs two numbers")
    return low, high


def _cast(value: Any, sweep: Sweep) -> Any:
    number = number_of(value) if sweep.is_int else None
    return int(number) if number is not None else value


def words_of(text: str) -> Iterator[Word]:
    """The words of a command line over several lines; blanks within brackets and quotes do not separate them.

    Lines that begin with ``#`` are left out, and a backslash at the end of a line continues it.
    """
    word, started, depth, quote, is_shell = "", (1, 1), 0, "", False
    line, column, at = 1, 1, 0
    while at < len(text):
        character = text[at]
        is_new = not word and not is_shell
        if is_new and character == "#" and column == 1:
            end = text.find("\n", at)
            at = end if end >= 0 else len(text)
            continue
        if is_new:
            started = (line, column)
        if character == "\\" and text[at + 1 : at + 2] == "\n":
            at, line, column = at + 2, line + 1, 1
            continue
        if quote:
            quote, is_shell, word = _in_quotes(character, quote, is_shell, word)
        elif character in "'\"":
            quote, is_shell = character, is_new or is_shell
            word += "" if is_shell else character
        elif character.isspace() and depth == 0:
            if word:
                yield Word(word, *started)
            word, is_shell = "", False
        else:
            depth = max(0, depth + (character in "([{") - (character in ")]}"))
            word += character
        line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
        at += 1
    if word:
        yield Word(word, *started)


def _in_quotes(character: str, quote: str, is_shell: bool, word: str) -> tuple[str, bool, str]:
    if character != quote:
        return quote, is_shell, word + character
    return "", is_shell, word if is_shell else word + character


def looks_like_overrides(text: str) -> bool:
    """Whether a text is a command line or overrides, and not YAML."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines or re.match(r"(---|[{\[%]|['\"]?[\w./+@-]+['\"]?\s*:(\s|$)|- )", lines[0]):
        return False
    return any(OVERRIDE.fullmatch(word.text) for word in words_of("\n".join(lines[:50])[:20_000]))
