"""Values that look like a mistyped range.

The user's own code gets whatever its `params` hold, so none of them is an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from tunecli.spec.expressions import Choice, Expression, Fixed, Group, Listing, Sequence
from tunecli.spec.grammar import MODIFIERS
from tunecli.spec.space import children, join

_BOUNDED = ("uniform", "loguniform", "int", "logint", "normal")
_ALIKE = 0.81  # so a letter or two of a longer word; names of a person's own are often near a short one


@dataclass(frozen=True, slots=True)
class NearRange:
    """A map at the path ``name`` whose ``key`` is none of a range, but nearly ``meant``."""

    name: str
    key: str
    meant: str


def near_ranges(tree: Expression, name: str = "") -> Iterator[NearRange]:
    """Every map with a key that is nearly a range's and holds what that range would."""
    match tree:
        case Group(items=named):
            keys = [key for key in named if key not in MODIFIERS]
            if len(keys) == 1 and (meant := _meant(keys[0], named[keys[0]])):
                yield NearRange(name, keys[0], meant)
            inner = children(tree)
        case Sequence():
            inner = children(tree)
        case Choice(options=options):
            inner = [("", option) for option in options]
        case Listing(items=items):
            inner = [(0, item) for item in items[:1]]
        case _:
            return
    for step, child in inner:
        yield from near_ranges(child, name if step == "" else join(name, step))


def _meant(key: str, value: Expression) -> str:
    if not isinstance(value, Sequence):
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
