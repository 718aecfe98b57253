"""The tree of a file with its ranges parsed: frozen values that know their place in the file.

Knows which ranges exist; not how YAML is parsed, nor how points are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.config.domains import (
    Categorical,
    Domain,
)
from tunecli.config.reader import Mark
from tunecli.trial import Scalar

RANGE_KEYS = ("choice", "uniform", "loguniform", "int", "logint", "normal", "list", "ref")
"""The keys that make a map a range."""
MODIFIERS = ("default", "step", "grid")
"""Keys that some ranges take in addition."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is no range."""

    value: Scalar
    mark: Mark


@dataclass(frozen=True, slots=True)
class Group:
    """A map; ``marks`` holds where each key stands."""

    items: dict[str, Expression]
    marks: dict[str, Mark]
    mark: Mark


@dataclass(frozen=True, slots=True)
class FixedList:
    """A list of a fixed length."""

    items: tuple[Expression, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``options``; ``labels`` are what the record calls them. A scalar's label is the scalar.

    Where an option is itself a range of numbers, that range bears the path's name and the choice the name
    ``<path>.choice``: ``{choice: [0, {loguniform: [1e-6, 1e-1]}]}``.
    """

    labels: tuple[Scalar, ...]
    options: tuple[Expression, ...]
    default: Scalar
    has_default: bool
    mark: Mark

    def name_at(self, path: str) -> str:
        """What the record calls the choice that stands at ``path``."""
        return f"{path}.choice" if any(isinstance(option, Numeric) for option in self.options) else path


@dataclass(frozen=True, slots=True)
class Numeric:
    """A range of numbers."""

    domain: Domain
    default: Scalar
    mark: Mark


@dataclass(frozen=True, slots=True)
class VariableList:
    """A list whose length is itself a value or a range of whole numbers."""

    items: tuple[Expression, ...]
    """One expression for each place up to the greatest length, all alike but for their place."""
    lengths: Domain
    default_length: Scalar
    default_items: tuple[Scalar, ...] | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Reference:
    """Another key's value, by its path under ``trial``."""

    path: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class Broken:
    """Stands where something could not be understood; what is wrong has been told."""

    mark: Mark


Expression = Fixed | Broken | Group | FixedList | Choice | Numeric | VariableList | Reference


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
    """How many expressions the tree holds, each list at its greatest length; counted without going over its items."""
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
    """The domain that a range draws from; None for what is no parameter itself."""
    match expression:
        case Numeric(domain=domain):
            return domain
        case Choice(labels=labels):
            return Categorical(labels)
        case _:
            return None


def literal(expression: Expression) -> Any:
    """The plain value of an expression with no range in it.

    Raises:
        ValueError: there is a range in it.
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
    """The steps into a map or a fixed list, and what stands there."""
    if isinstance(expression, Group):
        return list(expression.items.items())
    return list(enumerate(expression.items))


def join(name: str, step: str | int) -> str:
    """The path of ``step`` under ``name``."""
    return f"{name}.{step}" if name else str(step)


def is_among(value: Scalar, values: Sequence[Scalar]) -> bool:
    """Whether ``value`` is one of ``values``; 1, 1.0 and true are three different values."""
    return any(type(value) is type(other) and value == other for other in values)
