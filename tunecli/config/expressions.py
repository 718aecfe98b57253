"""The tree of a file with its ranges parsed: frozen values that know their place in the file.

Knows which ranges exist; not how YAML is parsed, nor how points are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tunecli.config.arithmetic import Formula
from tunecli.config.domains import (
    Categorical,
    Domain,
)
from tunecli.config.reader import Mark
from tunecli.trial import Scalar

RANGE_KEYS = ("choice", "uniform", "loguniform", "int", "logint", "normal", "list", "ref")
"""The keys that make a map a range."""
MODIFIERS = ("default", "step", "grid", "weights", "ordered", "as")
"""Further keys of some ranges."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is not a range."""

    value: Scalar
    mark: Mark


@dataclass(frozen=True, slots=True)
class Group:
    """A map; ``marks`` has the position of each key."""

    items: dict[str, Expression]
    marks: dict[str, Mark]
    mark: Mark


@dataclass(frozen=True, slots=True)
class FixedList:
    """A list of fixed length."""

    items: tuple[Expression, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``options``; the record contains their ``labels``. The label of a scalar is the scalar.

    If an option is itself a range of numbers or a formula, that has the path as its name, and the choice has the name
    ``<path>.choice``: ``{choice: [0, {loguniform: [1e-6, 1e-1]}]}``. ``known_as`` is the knob that it is (``as:``).
    """

    labels: tuple[Scalar, ...]
    options: tuple[Expression, ...]
    default: Scalar
    has_default: bool
    mark: Mark
    weights: tuple[float, ...] = ()
    is_ordered: bool | None = False
    known_as: str = ""
    _has_name_inside: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        is_named = any(isinstance(option, Numeric | Derived) for option in self.options)
        object.__setattr__(self, "_has_name_inside", is_named)  # once, not at each of many points

    def name_at(self, path: str) -> str:
        """Name of the choice at ``path`` in the record."""
        return f"{path}.choice" if self._has_name_inside else path


@dataclass(frozen=True, slots=True)
class Numeric:
    """A range of numbers; ``known_as`` is the knob that it is (``as:``), or empty."""

    domain: Domain
    default: Scalar
    mark: Mark
    known_as: str = ""


@dataclass(frozen=True, slots=True)
class VariableList:
    """A list whose length is a value or a range of whole numbers."""

    items: tuple[Expression, ...]
    """One expression for each place up to the greatest length, all alike but for their place."""
    lengths: Domain
    default_length: Scalar
    default_items: tuple[Scalar, ...] | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of another key, by its path under ``trial``."""

    path: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Derived:
    """A value that a formula computes from other values: ``{expr: "1 - gamma"}``."""

    formula: Formula
    mark: Mark


@dataclass(frozen=True, slots=True)
class Broken:
    """Placeholder for a part with a problem that was reported."""

    mark: Mark


Expression = Fixed | Broken | Group | FixedList | Choice | Numeric | VariableList | Reference | Derived


def walk(expression: Expression) -> Iterator[Expression]:
    """Every expression of the tree, parents first."""
    yield expression
    match expression:
        case Group(items=named):
            children: tuple[Expression, ...] = tuple(named.values())
        case FixedList(items=children) | VariableList(items=children) | Choice(options=children):
            pass
        case _:
            return
    for child in children:
        yield from walk(child)


def n_expressions(expression: Expression) -> int:
    """Number of expressions in the tree, with each list at its greatest length; computed without visiting its items."""
    match expression:
        case Group(items=named):
            return 1 + sum(map(n_expressions, named.values()))
        case FixedList(items=items) | Choice(options=items):
            return 1 + sum(map(n_expressions, items))
        case VariableList(items=items):
            return 1 + len(items) * (n_expressions(items[0]) if items else 0)
        case _:
            return 1


def domain_of(expression: Expression) -> Domain | None:
    """The domain of a range; None if the expression is not a parameter."""
    match expression:
        case Numeric(domain=domain):
            return domain
        case Choice(labels=labels, weights=weights):
            return Categorical(labels, weights, expression.is_ordered)
        case _:
            return None


def literal(expression: Expression) -> Any:
    """The plain value of an expression without ranges.

    Raises:
        ValueError: the expression contains a range.
    """
    match expression:
        case Fixed(value=value):
            return value
        case Broken():
            return None
        case Group(items=named):
            return {key: literal(item) for key, item in named.items()}
        case FixedList(items=items):
            return [literal(item) for item in items]
        case _:
            raise ValueError("a range is no plain value")


def children(expression: Group | FixedList) -> list[tuple[str | int, Expression]]:
    """The keys or indices of a map or fixed list, with the expression at each."""
    if isinstance(expression, Group):
        return list(expression.items.items())
    return list(enumerate(expression.items))


def join(name: str, step: str | int) -> str:
    """The path of ``step`` under ``name``."""
    return f"{name}.{step}" if name else str(step)


def is_among(value: Scalar, values: Sequence[Scalar]) -> bool:
    """Whether ``value`` is one of ``values``; 1, 1.0 and true are three different values."""
    for other in values:  # noqa: SIM110  # `any` would make a generator for every value
        if type(value) is type(other) and value == other:
            return True
    return False
