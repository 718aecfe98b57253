"""The search space of a trial's tree: its parameters, and its points.

A space is a tuple of `Parameter`s, parents before children. A parameter is active if the values of its parents meet its
conditions. A *point* maps the path of every active parameter to its value. A *unit* is the position of a value in its
parameter's domain, in [0, 1). Pure functions over frozen values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tunecli.config.constraints import NO_CONSTRAINTS, Constraints
from tunecli.config.domains import (
    Categorical,
    Domain,
    centre,
    n_values,
    unit_of_value,
    value_at,
    value_of_unit,
)
from tunecli.config.earlier_defaults import DEFAULTS
from tunecli.config.expressions import (
    Choice,
    Derived,
    Expression,
    FixedList,
    Group,
    Numeric,
    VariableList,
    children,
    is_among,
    join,
)
from tunecli.config.priors.prior import Prior
from tunecli.trial import EarlierStudy, Parameters, Scalar


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that is met if the parameter ``key`` has one of ``values``."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension of the space.

    Attributes:
        key: unique in the space: the path with the branches that lead to it, ``optimizer{adamw}.lr``.
        name: the path, ``optimizer.lr``; parameters of different branches can share it.
        domain: its domain; the options of a choice are labels.
        conditions: the parameter is active if all of them are met.
        default: value of the first trial; None if the file has no default.
        known_as: the knob that the file says it is (``as:``); empty if it does not.
        prior: where good values usually lie; None if nothing is known of it.
    """

    key: str
    name: str
    domain: Domain
    conditions: tuple[Condition, ...] = ()
    default: Scalar = None
    known_as: str = ""
    prior: Prior | None = None


@dataclass(frozen=True)
class Space:
    """The tree of a trial with its ranges, and the points of it that a search may propose.

    Attributes:
        tree: the parsed ``trial``.
        constraints: which points a search may propose; see :mod:`tunecli.config.feasibility`.
        start: the points that a study tries first, in order.
        earlier: the trials of earlier studies that inform the sampler.
        orders_numbers: whether models use the order of three or more numbers in a choice. It is false in studies that
            began before tunecli did so.
        defaults: the version of the defaults of the trial's keys (`tunecli.config.earlier_defaults`).
        priors: where good values of parameters usually lie, by key (`tunecli.config.priors`).
        memo: values that are computed once from the other fields, by name.
    """

    tree: Expression
    constraints: Constraints = NO_CONSTRAINTS
    start: tuple[Parameters, ...] = ()
    earlier: tuple[EarlierStudy, ...] = ()
    orders_numbers: bool = True
    defaults: int = DEFAULTS
    priors: Mapping[str, Prior] = field(default_factory=dict)
    memo: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter of every branch, parents before children, in the order of the file."""
        every = _parameters(self.tree, "", "", ())
        if not self.priors:
            return tuple(every)
        return tuple(replace(parameter, prior=self.priors.get(parameter.key)) for parameter in every)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, each once, in the order of the file."""
        return tuple(dict.fromkeys(parameter.name for parameter in self.parameters))

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The columns of the results: the parameters, then the formulas."""
        return tuple(dict.fromkeys((*self.names, *self.derived_names)))

    @cached_property
    def derived_names(self) -> tuple[str, ...]:
        """The paths of the formulas, each once, in the order of the file."""
        return tuple(dict.fromkeys(path for path, _ in self.formulas))

    @cached_property
    def formulas(self) -> tuple[tuple[str, Derived], ...]:
        """Each formula with its path, in the order of the file. Branches may have formulas of one path."""
        return tuple(_formulas(self.tree, ""))


def point_of_units(space: Space, units: Sequence[float]) -> Parameters:
    """The point whose parameters have ``units``, one for each of ``space.parameters``.

    Units of inactive parameters are not used.
    """
    values: dict[str, Scalar] = {}
    point: dict[str, Scalar] = {}
    for parameter, unit in zip(space.parameters, units, strict=True):
        if is_active(parameter, values):
            point[parameter.name] = values[parameter.key] = value_of_unit(parameter.domain, unit)
    return point


def point_with(space: Space, chosen: Mapping[str, Scalar]) -> Parameters:
    """The point with the values in ``chosen`` by key, and the default or middle for every other parameter.

    Only active parameters are included, so ``chosen`` must contain the parents of the parameters it sets.
    """
    values: dict[str, Scalar] = {}
    point: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            fallback = centre(parameter.domain) if parameter.default is None else parameter.default
            point[parameter.name] = values[parameter.key] = chosen.get(parameter.key, fallback)
    return point


def units_of_point(space: Space, point: Parameters) -> tuple[float | None, ...]:
    """The unit of every parameter of the space at ``point``; None for inactive ones.

    Raises:
        KeyError, ValueError: ``point`` does not belong to this space.
    """
    values = values_by_key(space, point)
    return tuple(
        unit_of_value(parameter.domain, values[parameter.key]) if parameter.key in values else None
        for parameter in space.parameters
    )


def values_by_key(space: Space, point: Parameters) -> dict[str, Scalar]:
    """The point's values by the keys of the parameters, active ones only.

    Raises:
        KeyError: an active parameter has no value in ``point``.
    """
    values: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            values[parameter.key] = point[parameter.name]
    return values


def is_active(parameter: Parameter, values: Mapping[str, Scalar]) -> bool:
    """Whether the parameter is active, given the ``values`` of its parents by key."""
    for (
        condition
    ) in parameter.conditions:  # a loop is faster than `all`, which makes a generator for every value
        if condition.key not in values or not is_among(values[condition.key], condition.values):
            return False
    return True


def default_point(space: Space) -> Parameters | None:
    """The point of the file's defaults; None if no parameter has one.

    A parameter without a default takes the middle of its range; a choice without one takes the first branch that
    contains a default, or else its first option.
    """
    point: dict[str, Scalar] = {}
    has_default = _default(space.tree, "", point)
    return point if has_default else None


def _parameters(
    expression: Expression, name: str, key: str, conditions: tuple[Condition, ...]
) -> Iterator[Parameter]:
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _parameters(item, join(name, step), join(key, step), conditions)
        case FixedList(items=items):
            for place, item in enumerate(items):
                yield from _parameters(item, join(name, place), join(key, place), conditions)
        case Numeric(domain=domain, default=default):
            yield Parameter(key, name, domain, conditions, default, expression.known_as)
        case Choice(labels=labels, options=options):
            default = expression.default if expression.has_default else None
            domain = Categorical(labels, expression.weights, expression.is_ordered)
            yield Parameter(key, expression.name_at(name), domain, conditions, default, expression.known_as)
            for label, option in zip(labels, options, strict=True):
                inner = (*conditions, Condition(key, (label,)))
                yield from _parameters(option, name, f"{key}{{{label}}}", inner)
        case VariableList(items=items, lengths=lengths):
            length_key = join(key, "length")
            yield Parameter(length_key, join(name, "length"), lengths, conditions, expression.default_length)
            possible = [value_at(lengths, i) for i in range(n_values(lengths) or 0)]
            for place, item in enumerate(items):
                # The item exists if the list is longer than its position.
                longer = tuple(length for length in possible if isinstance(length, int) and length > place)
                inner = (*conditions, Condition(length_key, longer))
                yield from _parameters(item, join(name, place), join(key, place), inner)


def _formulas(expression: Expression, name: str) -> Iterator[tuple[str, Derived]]:
    match expression:
        case Derived():
            yield name, expression
        case Group() | FixedList():
            for step, item in children(expression):
                yield from _formulas(item, join(name, step))
        case Choice(options=options):
            for option in options:
                yield from _formulas(option, name)
        case VariableList(items=items):
            for place, item in enumerate(items):
                yield from _formulas(item, join(name, place))


def _default(expression: Expression, name: str, point: dict[str, Scalar]) -> bool:
    """Set the defaults of an expression in ``point``; return whether the file has any of them."""
    match expression:
        case Numeric(domain=domain, default=default):
            point[name] = centre(domain) if default is None else default
            return default is not None
        case Choice(labels=labels, options=options, default=default, has_default=has_default):
            branch = 0
            if has_default:
                branch = next(i for i, label in enumerate(labels) if is_among(default, (label,)))
            else:
                branch = next((i for i, option in enumerate(options) if _default(option, name, {})), 0)
            point[expression.name_at(name)] = labels[branch]
            return _default(options[branch], name, point) or has_default
        case VariableList(items=items, lengths=lengths, default_length=default_length, default_items=given):
            length = centre(lengths) if default_length is None else default_length
            point[join(name, "length")] = length
            has_default_inside = default_length is not None
            for step, item in enumerate(items[: int(length or 0)]):
                item_with_default = item if given is None else _with_default(item, given[step])
                has_default_inside = (
                    _default(item_with_default, join(name, step), point) or has_default_inside
                )
            return has_default_inside
        case Group() | FixedList():
            return _default_of_all(children(expression), name, point)
        case _:
            return False


def _with_default(expression: Expression, default: Scalar) -> Expression:
    if isinstance(expression, Choice):
        return replace(expression, default=default, has_default=True)
    return replace(expression, default=default) if isinstance(expression, Numeric) else expression


def _default_of_all(
    parts: Sequence[tuple[str | int, Expression]], name: str, point: dict[str, Scalar]
) -> bool:
    """Set the default of each part in ``point``; return whether the file has a default for any of them."""
    has_default = False
    for step, item in parts:
        has_default = _default(item, join(name, step), point) or has_default
    return has_default
