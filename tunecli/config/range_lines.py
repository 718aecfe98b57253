"""Ranges in tunecli's own notation, as hints show them: the line to write for another tool's range or for a list.

Also finds values that look like such a range under `params` or `args`, which the user's own code receives as they are.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.config.expressions import (
    MODIFIERS,
    Choice,
    Expression,
    Fixed,
    FixedList,
    Group,
    VariableList,
    children,
    join,
    literal,
)
from tunecli.config.foreign_ranges import Asked, asked_by_map, asked_by_text, is_finite_number
from tunecli.config.reader import scalar

_LONGEST_LINE = 160


def lines_for(value: Any, *, is_whole: bool | None = None) -> tuple[str, ...]:
    """Our lines for another tool's range, the most likely first; empty if ``value`` does not look like a range.

    Args:
        value: a plain value: a map or a text, never a list, which may be meant as one.
        is_whole: whether the key takes whole numbers; None if that is unknown.
    """
    asked = (
        asked_by_map(value)
        if isinstance(value, Mapping)
        else asked_by_text(value)
        if isinstance(value, str)
        else None
    )
    return () if asked is None else _lines(asked, is_whole)


def lines_for_list(
    values: Sequence[Any], *, is_whole: bool | None = None, is_number: bool = False
) -> tuple[str, ...]:
    """Our lines for a list in the place of one value: a choice; for two numbers also a range."""
    if not values:
        return ()
    lines = [_choice(values)]
    if is_number and len(values) == 2 and all(map(is_finite_number, values)) and values[0] < values[1]:
        lines = [*_lines(Asked("either", tuple(values)), is_whole), *lines]
    return tuple(lines)


def hint_of(lines: Sequence[str]) -> str:
    """The hint that shows ``lines``."""
    return f"write {' or '.join(lines)}" if lines else ""


def flow(value: Any) -> str:
    """A plain value in YAML's flow style, numbers in few digits."""
    match value:
        case bool() | None:
            return json.dumps(value)
        case float() if math.isfinite(value):
            text = short if float(short := f"{value:g}") == value else repr(value)
            return text if "." in text or "e" in text else f"{text}.0"
        case Mapping():
            return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return value if _is_plain(value) else json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def short_flow(value: Any) -> str:
    """The same; a text that is too long is cut to `…`."""
    text = flow(value)
    if len(text) <= _LONGEST_LINE:
        return text
    return "{…}" if isinstance(value, Mapping) else "[…]" if isinstance(value, list | tuple) else "…"


def _is_plain(text: str) -> bool:
    """Whether a text needs no quotes in YAML."""
    if not re.fullmatch(r"[\w./][\w ./:+-]*", text) or text.endswith((" ", ":")) or ": " in text:
        return False
    return len(text) <= _LONGEST_LINE and scalar(text) == text


def _lines(asked: Asked, is_whole: bool | None) -> tuple[str, ...]:
    kind, numbers, step = asked.kind, asked.numbers, asked.step
    if kind == "choice":
        return (_choice(asked.values, asked.weights),)
    if kind == "constant":
        return (short_flow(asked.values[0]),)
    if len(numbers) != 2 or not all(map(is_finite_number, numbers)):
        return ()
    low, high = numbers
    if kind in ("normal", "lognormal"):
        by = f", step: {flow(step)}" if step is not None and step > 0 else ""
        return (f"{{{kind}: [{flow(low)}, {flow(high)}]{by}}}",) if high > 0 else ()
    if kind in ("below", "logbelow"):
        kind, high = ("int" if kind == "below" else "logint"), high - (step or 1)
    if low > high or (kind.startswith("log") and low <= 0):
        return ()
    are_whole = all(float(number).is_integer() for number in (low, high, step or 1))
    by = f", step: {flow(step)}" if step is not None and step > 0 else ""
    if kind == "either":
        are_ints = all(isinstance(number, int) for number in (low, high))
        is_int = are_whole and (is_whole or (is_whole is None and are_ints))
        names = ["int", "logint"] if is_int else ["uniform", "loguniform"]
        names = names if low > 0 else names[:1]
        if is_whole is None and is_int and (low, high) == (0, 1):
            names = ["uniform", "int"]
    else:
        swapped = {"uniform": "int", "loguniform": "logint"} if is_whole and are_whole else {}
        swapped = {"int": "uniform", "logint": "loguniform"} if not are_whole else swapped
        names = [swapped.get(kind, kind)]
    if "int" in names[0]:
        low, high = int(low), int(high)
        by = f", step: {int(step)}" if step is not None and step > 1 else ""
    return tuple(f"{{{name}: [{flow(low)}, {flow(high)}]{by}}}" for name in names)


def _choice(values: Sequence[Any], weights: Sequence[float] = ()) -> str:
    distinct = [
        value for place, value in enumerate(values) if not any(_same(value, one) for one in values[:place])
    ]
    beside = f", weights: {flow(weights)}" if len(weights) == len(distinct) == len(values) else ""
    text = f"{{choice: {flow(distinct)}{beside}}}"
    return text if len(text) <= _LONGEST_LINE else f"{{choice: [{short_flow(distinct[0])}, …]}}"


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


_BOUNDED = ("uniform", "loguniform", "int", "logint", "normal", "lognormal")
_ALIKE = 0.81  # so a letter or two of a longer word; names of a person's own are often near a short one
_OWN_VALUES = re.compile(r"params\.|(.*\.)?args\.")


@dataclass(frozen=True, slots=True)
class NearRange:
    """A value at the path ``name`` that looks like a range (``written``) but is none; ``hint`` says what to write."""

    name: str
    written: str
    hint: str


def near_ranges(tree: Expression, name: str = "") -> Iterator[NearRange]:
    """Every map and text under `params` or `args` that looks like another tool's range, or like a mistyped one."""
    match tree:
        case Group():
            if _OWN_VALUES.match(name) and (near := _near(tree, name)):
                yield near
                return
            inner = children(tree)
        case FixedList():
            inner = children(tree)
        case Choice(options=options):
            inner = [("", option) for option in options]
        case VariableList(items=items):
            inner = [(0, item) for item in items[:1]]
        case Fixed(value=str(text)) if "(" in text and _OWN_VALUES.match(name):
            if lines := lines_for(text):
                yield NearRange(name, short_flow(text), hint_of(lines))
            return
        case _:
            return
    for step, child in inner:
        yield from near_ranges(child, name if step == "" else join(name, step))


def _near(group: Group, name: str) -> NearRange | None:
    try:
        plain: dict[str, Any] = literal(group)
    except ValueError:  # a range inside: so the map is no range itself
        return None
    keys = [key for key in plain if key not in MODIFIERS]
    if len(keys) == 1 and (meant := _meant(keys[0], group.items[keys[0]])):
        line = short_flow({meant: plain[keys[0]], **{key: plain[key] for key in plain if key in MODIFIERS}})
        return NearRange(name, short_flow(plain), f"did you mean {line}?")
    if keys == ["power"] and (hint := _power_hint(plain["power"])):
        return NearRange(name, short_flow(plain), hint)
    lines = lines_for(plain)
    return NearRange(name, short_flow(plain), hint_of(lines)) if lines else None


def _power_hint(body: Any) -> str:
    """How to write a map ``{power: body}`` as a range of powers; empty if it does not look like one."""
    match body:
        case [int() | float() as base, int() as low, int() as high]:
            return f"write {short_flow({'power': {'of': base, 'int': [low, high]}})} for powers of {base:g}"
        case {"of": _} | {"base": _}:
            return "write {power: {of: 2, int: [3, 8]}} for the powers of 2 from 8 to 256"
    return ""


def _meant(key: str, value: Expression) -> str:
    if not isinstance(value, FixedList):
        return ""
    is_bounds = len(value.items) == 2 and all(map(_is_number_expression, value.items))
    matches = difflib.get_close_matches(key, ("choice", *_BOUNDED) if is_bounds else ("choice",), 1, _ALIKE)
    return matches[0] if matches else ""


def _is_number_expression(expression: Expression) -> bool:
    return (
        isinstance(expression, Fixed)
        and isinstance(expression.value, int | float)
        and not isinstance(expression.value, bool)
    )
