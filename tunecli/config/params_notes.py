"""Notes on the `params` of the user's own code: values that look like ranges, and parameters that no argument names.

The user's own code receives every value under `params` or `args`, so none of these is an error. Every other key has a
schema, which refuses such a value.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tunecli.config.command import placeholders
from tunecli.config.expressions import (
    MODIFIERS,
    Choice,
    Expression,
    Fixed,
    FixedList,
    Group,
    Reference,
    VariableList,
    children,
    join,
    literal,
    walk,
)
from tunecli.config.range_lines import hint_of, lines_for, short_flow
from tunecli.config.space import Space

_BOUNDED = ("uniform", "loguniform", "int", "logint", "normal")


_ALIKE = 0.81  # so a letter or two of a longer word; names of a person's own are often near a short one


_OWN_VALUES = re.compile(r"params\.|(.*\.)?args\.")


@dataclass(frozen=True, slots=True)
class NearRange:
    """A value at the path ``name`` that is no range, though it is ``written`` like one; ``hint`` says what to write."""

    name: str
    written: str
    hint: str


def near_ranges(tree: Expression, name: str = "") -> Iterator[NearRange]:
    """Every map and text under `params` or `args` that another tool, or this one but for a letter, reads as a range."""
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
    lines = lines_for(plain)
    return NearRange(name, short_flow(plain), hint_of(lines)) if lines else None


def _meant(key: str, value: Expression) -> str:
    if not isinstance(value, FixedList):
        return ""
    is_bounds = len(value.items) == 2 and all(map(_is_number, value.items))
    found = difflib.get_close_matches(key, ("choice", *_BOUNDED) if is_bounds else ("choice",), 1, _ALIKE)
    return found[0] if found else ""


def _is_number(expression: Expression) -> bool:
    return (
        isinstance(expression, Fixed)
        and isinstance(expression.value, int | float)
        and not isinstance(expression.value, bool)
    )


_PREFIX = "params."


def unused_parameters(space: Space) -> Iterator[str]:
    """The names, under ``params``, of the parameters that no placeholder of any command in the space names."""
    commands = list(_commands(space))
    if not commands:
        return
    paths = {path for texts in commands for text in texts for path in placeholders(text)}
    paths |= {part.path.removeprefix(_PREFIX) for part in walk(space.tree) if isinstance(part, Reference)}
    for name in space.names:
        if name.startswith(_PREFIX):
            path = name.removeprefix(_PREFIX)
            owner = path.removesuffix(".choice").removesuffix(".length")
            if not any(_is_on_one_line(owner, each) for each in paths):
                yield path


def _is_on_one_line(path: str, other: str) -> bool:
    """Whether one of two paths leads to the other."""
    return f"{path}.".startswith(f"{other}.") or f"{other}.".startswith(f"{path}.")


def _commands(space: Space) -> Iterator[list[str]]:
    """The texts of each command that a trial may run."""
    for part in walk(space.tree):
        if isinstance(part, Group) and "command" in part.items:
            for lists in walk(part.items["command"]):
                if isinstance(lists, FixedList):
                    yield [
                        each.value
                        for each in walk(lists)
                        if isinstance(each, Fixed) and isinstance(each.value, str)
                    ]
            return
