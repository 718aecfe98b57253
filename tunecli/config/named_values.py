"""Values that the search's settings give by the names of parameters: in `search.forbid`, and in `search.start`.

A name is a parameter's path, as in the results; for a function or a command, the leading ``params.`` may be left out.
Maps may be nested instead, as in the file, and the `name` of a sub-tree is the label of its choice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from tunecli.config.constraints import is_one_of
from tunecli.config.domains import (
    Categorical,
    Domain,
    Integer,
    Normal,
    Powers,
    Real,
    contains,
    n_values,
    unit_of_value,
    value_of_unit,
)
from tunecli.config.expressions import (
    Choice,
    Derived,
    Expression,
    Fixed,
    FixedList,
    Group,
    Numeric,
    Reference,
    VariableList,
    join,
)
from tunecli.config.labels import described, shown
from tunecli.config.reader import Mark
from tunecli.config.space import Space
from tunecli.config.suggestions import nearest
from tunecli.errors import Problem
from tunecli.trial import Scalar

_MOST_OPTIONS = 6  # that a hint lists


@dataclass(frozen=True, slots=True)
class NamedValue:
    """One value in the settings: its name as written, and its place in the file.

    Attributes:
        name: the path.
        value: a plain value, or a list of plain values.
        mark: the place of the value.
    """

    name: str
    value: Scalar | tuple[Scalar, ...]
    mark: Mark


class ValueRefusedError(ValueError):
    """A name or a value that does not fit the space, with a hint."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def at(self, mark: Mark, parameter: str) -> Problem:
        """The problem at a place of the file."""
        return Problem(self.message, mark.file, mark.line, mark.column, parameter, self.hint)


def named_values(expression: Expression, name: str = "") -> Iterator[NamedValue]:
    """The plain values in a map of the settings, by their paths; a list of plain values is one value.

    Raises:
        ValueRefusedError: the map has a range.
    """
    match expression:
        case Fixed(value=value, mark=mark):
            yield NamedValue(name, value, mark)
        case FixedList(items=items, mark=mark) if all(isinstance(item, Fixed) for item in items):
            yield NamedValue(name, tuple(item.value for item in items if isinstance(item, Fixed)), mark)
        case FixedList(items=items):
            for place, item in enumerate(items):
                yield from named_values(item, join(name, place))
        case Group(items=named):
            for step, item in named.items():
                yield from named_values(item, join(name, step))
        case _:
            raise ValueRefusedError(f"`{name}` must be one value here, not a range")


def names_of_space(space: Space) -> tuple[str, ...]:
    """The names that a condition or a combination may use: of parameters, and of fixed values."""
    if "names" not in space.memo:
        names = (*space.names, *_names(space.tree, ""))
        space.memo["names"] = tuple(dict.fromkeys(names))
    known: tuple[str, ...] = space.memo["names"]
    return known


def _names(expression: Expression, name: str) -> Iterator[str]:
    match expression:
        case Fixed() | Numeric() | Reference() | Derived():
            yield name
        case Group(items=named):
            if name and isinstance(named.get("name"), Fixed):
                yield name
            for step, item in named.items():
                yield from _names(item, join(name, step))
        case Choice(options=options):
            for option in options:
                yield from _names(option, name)
        case FixedList(items=items) | VariableList(items=items):
            for place, item in enumerate(items):
                yield from _names(item, join(name, place))


def known_name(space: Space, name: str) -> str:
    """The full path of a name in the settings.

    Raises:
        ValueRefusedError: the space has no such name.
    """
    known = names_of_space(space)
    paths = (name, f"params.{name}")
    # The `name` inside a choice of sub-trees is the choice's own label.
    labels = [path.removesuffix(".name") for path in paths if path.endswith(".name")]
    for candidates, names in ((paths, space.names), (labels, space.names), (paths, known)):
        for candidate in candidates:
            if candidate in names:
                return candidate
    references = tuple(path for path in known if name.startswith(f"{path}."))
    if references:  # inside a part of the trial that a `ref` repeats
        return name
    longer = [path for path in known if path.endswith(f".{name}")]
    short = (path.removeprefix("params.") for path in known)
    hint = f"did you mean `{longer[0]}`?" if len(longer) == 1 else nearest(name, (*known, *short))
    if len(longer) > 1:
        hint = f"write the whole path: {' or '.join(f'`{path}`' for path in longer[:_MOST_OPTIONS])}"
    raise ValueRefusedError(f"there is no parameter `{name}`", hint)


def value_in_domain(domain: Domain, value: Any, name: str) -> Scalar:
    """The value of the domain that equals ``value``: 1 is 1.0 in a range of real numbers.

    Raises:
        ValueRefusedError: the domain does not contain it; the hint names the nearest value.
    """
    if isinstance(domain, Categorical):
        if contains(domain, value):  # 1, 1.0 and true may be three options
            return value  # type: ignore[no-any-return]  # an option
        option = next((option for option in domain.options if is_one_of(value, (option,))), _NONE)
        if option is not _NONE:
            return option  # type: ignore[return-value]  # an option
        raise ValueRefusedError(f"`{name}` is never {shown(value)}", _options_hint(value, domain.options))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number:
        raise ValueRefusedError(f"`{name}` is a number ({described(domain)}), not {shown(value)}")
    number: float = value
    is_whole = isinstance(domain, Integer) or (isinstance(domain, Powers) and domain.is_whole)
    if is_whole and isinstance(number, float) and number.is_integer():
        number = int(number)
    if not is_whole:
        number = float(number)
    if contains(domain, number):
        return number
    closest = nearest_value(domain, number)
    raise ValueRefusedError(
        f"`{name}` is never {shown(value)}: it is {described(domain)}",
        f"the nearest value is {shown(closest)}",
    )


_NONE = object()


def nearest_value(domain: Integer | Real | Normal | Powers, number: float) -> Scalar:
    """The value of a range that is nearest to a number, on the scale of the range."""
    if isinstance(domain, Normal | Powers):
        positive = max(number, sys.float_info.min) if isinstance(domain, Powers) else number
        return value_of_unit(domain, unit_of_value(domain, positive))
    inside = min(max(number, domain.low), domain.high)
    return inside if n_values(domain) is None else value_of_unit(domain, unit_of_value(domain, inside))


def _options_hint(value: Any, options: Sequence[Scalar]) -> str:
    texts = [shown(option) for option in options]
    numbers = [o for o in options if isinstance(o, int | float) and not isinstance(o, bool)]
    if isinstance(value, int | float) and not isinstance(value, bool) and numbers:
        return f"the nearest value is {shown(min(numbers, key=lambda number: abs(number - value)))}"
    if match := get_close_matches(str(value), texts, 1):
        return f"did you mean `{match[0]}`?"
    more = f" and {len(texts) - _MOST_OPTIONS} more" if len(texts) > _MOST_OPTIONS else ""
    return f"one of {', '.join(texts[:_MOST_OPTIONS])}{more}"
