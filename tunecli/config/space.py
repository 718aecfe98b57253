"""The space found in a trial's tree: its parameters, its points, and the concrete trial at a point.

Seen flat, a space is a tuple of `Parameter`s, parents before children; each is active under conditions that
the values of its parents must meet. A *point* is the record's `Parameters`: the
path of every active parameter and its value. Pure functions over frozen values; knows no sampler.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import Any

from tunecli.config import expressions
from tunecli.config.domains import (
    Categorical,
    Domain,
    centre,
    n_values,
    unit_of_value,
    value_at,
    value_of_unit,
)
from tunecli.config.expressions import Broken, Choice, Expression, Fixed, Group, Listing, Numeric, Reference
from tunecli.config.paths import is_index
from tunecli.trial import Parameters, Scalar

MAX_VALUES = 10_000
"""How many values a trial holds at most, a reference counted as what it names."""
MAX_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds where the parameter ``key`` has one of ``values``."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension of the space.

    Attributes:
        key: unique in the space; the path with the branches that lead to it, ``optimizer{adamw}.lr``.
        name: the path, ``optimizer.lr``; parameters of different branches may share it.
        domain: what it ranges over; a choice's options are its labels.
        conditions: all must hold for the parameter to be active.
        default: what a person would try first; None where nothing was said.
    """

    key: str
    name: str
    domain: Domain
    conditions: tuple[Condition, ...] = ()
    default: Scalar = None


@dataclass(frozen=True)
class Space:
    """Everything a trial's tree may become."""

    tree: Expression

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter of every branch, parents before children, in the order of the file."""
        return tuple(_parameters(self.tree, "", "", ()))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The parameters' names, each once, in the order of the file: the results' columns."""
        return tuple(dict.fromkeys(parameter.name for parameter in self.parameters))


def point_of_units(space: Space, units: Sequence[float]) -> Parameters:
    """The point whose parameters take ``units`` (one in [0, 1) for each of ``space.parameters``).

    Units of parameters that turn out inactive are not read.
    """
    values: dict[str, Scalar] = {}
    point: dict[str, Scalar] = {}
    for parameter, unit in zip(space.parameters, units, strict=True):
        if is_active(parameter, values):
            point[parameter.name] = values[parameter.key] = value_of_unit(parameter.domain, unit)
    return point


def point_with(space: Space, chosen: Mapping[str, Scalar]) -> Parameters:
    """The point at which the parameters keyed in ``chosen`` have those values, and the others their default or middle.

    A parameter is there only where it is active, so ``chosen`` names the parents of what it is after.
    """
    values: dict[str, Scalar] = {}
    point: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            usual = centre(parameter.domain) if parameter.default is None else parameter.default
            point[parameter.name] = values[parameter.key] = chosen.get(parameter.key, usual)
    return point


def units_of_point(space: Space, point: Parameters) -> tuple[float | None, ...]:
    """The unit of every parameter of the space at ``point``; None where it is not active.

    Raises:
        KeyError, ValueError: ``point`` does not belong to this space.
    """
    values = values_by_key(space, point)
    return tuple(
        unit_of_value(parameter.domain, values[parameter.key]) if parameter.key in values else None
        for parameter in space.parameters
    )


def values_by_key(space: Space, point: Parameters) -> dict[str, Scalar]:
    """The point's values by the parameters' keys, active ones only.

    Raises:
        KeyError: a parameter that is active has no value in ``point``.
    """
    values: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            values[parameter.key] = point[parameter.name]
    return values


def is_active(parameter: Parameter, values: Mapping[str, Scalar]) -> bool:
    """Whether the parameter takes part, given its parents' ``values`` by key."""
    return all(
        condition.key in values and is_among(values[condition.key], condition.values)
        for condition in parameter.conditions
    )


def default_point(space: Space) -> Parameters | None:
    """What a person would try first; None where no parameter of the space has a default.

    A parameter without a default takes the middle of its range; a choice without one takes the first branch
    that holds a default, or else its first option.
    """
    point: dict[str, Scalar] = {}
    has_default = _default(space.tree, "", point)
    return point if has_default else None


def concrete(space: Space, point: Parameters) -> Any:
    """The plain tree at ``point``: every range replaced by its value, every `ref` by what it names.

    Raises:
        KeyError: an active parameter has no value in ``point``.
        DanglingReferenceError: a `ref` names nothing that exists at this point, or itself.
    """
    return _Resolution(_plain(space.tree, "", point)).whole()


def locate(
    space: Space, point: Parameters, path: Sequence[str | int]
) -> tuple[tuple[str | int, ...], Expression]:
    """Follow ``path`` as far as the tree at ``point`` goes.

    Steps that are no keys of the tree are passed over: a validator's path also names which member of a union
    it tried. That may be called as a key is (``python``): a key that holds a plain value is none of the steps where
    the next step is a key beside it.

    Returns:
        The steps taken, and the deepest expression they lead to.
    """
    taken: tuple[str | int, ...] = ()
    found, name = _chosen(space.tree, "", point), ""
    for step, following in zip_longest(path, path[1:]):
        match found:
            case Group(items=named) if step in named:
                inner = named[str(step)]
                if isinstance(inner, Fixed) and following in named:
                    continue
            case expressions.Sequence(items=items) | Listing(items=items) if isinstance(
                step, int
            ) and step < len(items):
                inner = items[step]
            case _:
                continue
        name = join(name, step)
        found, taken = _chosen(inner, name, point), (*taken, step)
    return taken, found


class DanglingReferenceError(LookupError):
    """A `ref` that names nothing that exists at a point, or itself."""

    def __init__(self, reference: Reference, message: str) -> None:
        super().__init__(message)
        self.reference, self.message = reference, message


def branches_with_references(space: Space) -> list[dict[str, Scalar]]:
    """For each `ref` of the tree: the branches that lead to it, as choices' labels and list lengths by key."""
    found: list[dict[str, Scalar]] = []

    def visit(expression: Expression, key: str, taken: dict[str, Scalar]) -> None:
        match expression:
            case Reference():
                found.append(taken)
            case Group() | expressions.Sequence():
                for step, item in children(expression):
                    visit(item, join(key, step), taken)
            case Choice(labels=labels, options=options):
                for label, option in zip(labels, options, strict=True):
                    visit(option, f"{key}{{{label}}}", {**taken, key: label})
            case Listing(items=items, lengths=lengths):
                longest = value_at(lengths, (n_values(lengths) or 1) - 1)
                for place, item in enumerate(items):
                    visit(item, join(key, place), {**taken, join(key, "length"): longest})

    visit(space.tree, "", {})
    return found


def _parameters(
    expression: Expression, name: str, key: str, conditions: tuple[Condition, ...]
) -> Iterator[Parameter]:
    match expression:
        case Group(items=named):
            for step, item in named.items():
                yield from _parameters(item, join(name, step), join(key, step), conditions)
        case expressions.Sequence(items=items):
            for place, item in enumerate(items):
                yield from _parameters(item, join(name, place), join(key, place), conditions)
        case Numeric(domain=domain, default=default):
            yield Parameter(key, name, domain, conditions, default)
        case Choice(labels=labels, options=options):
            default = expression.default if expression.has_default else None
            yield Parameter(key, expression.name_at(name), Categorical(labels), conditions, default)
            for label, option in zip(labels, options, strict=True):
                inner = (*conditions, Condition(key, (label,)))
                yield from _parameters(option, name, f"{key}{{{label}}}", inner)
        case Listing(items=items, lengths=lengths):
            length_key = join(key, "length")
            yield Parameter(length_key, join(name, "length"), lengths, conditions, expression.default_length)
            possible = [value_at(lengths, i) for i in range(n_values(lengths) or 0)]
            for place, item in enumerate(items):
                longer = tuple(length for length in possible if isinstance(length, int) and length > place)
                inner = (*conditions, Condition(length_key, longer))
                yield from _parameters(item, join(name, place), join(key, place), inner)


def _default(expression: Expression, name: str, point: dict[str, Scalar]) -> bool:
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
        case Listing(items=items, lengths=lengths, default_length=default_length, default_items=given):
            length = centre(lengths) if default_length is None else default_length
            point[join(name, "length")] = length
            found = default_length is not None
            for step, item in enumerate(items[: int(length or 0)]):
                told = item if given is None else _with_default(item, given[step])
                found = _default(told, join(name, step), point) or found
            return found
        case Group() | expressions.Sequence():
            return _default_of_all(children(expression), name, point)
        case _:
            return False


def _with_default(expression: Expression, default: Scalar) -> Expression:
    if isinstance(expression, Choice):
        return replace(expression, default=default, has_default=True)
    return replace(expression, default=default) if isinstance(expression, Numeric) else expression


def _default_of_all(
    children: Sequence[tuple[str | int, Expression]], name: str, point: dict[str, Scalar]
) -> bool:
    found = False
    for step, item in children:
        found = _default(item, join(name, step), point) or found
    return found


def _chosen(expression: Expression, name: str, point: Parameters) -> Expression:
    """What stands at ``name`` once every choice on the way is made."""
    while isinstance(expression, Choice):
        chosen = point[expression.name_at(name)]
        branches = zip(expression.labels, expression.options, strict=True)
        expression = next(option for label, option in branches if is_among(chosen, (label,)))
    return expression


def _plain(expression: Expression, name: str, point: Parameters) -> Any:
    match _chosen(expression, name, point):
        case Fixed(value=value):
            return value
        case Broken():
            return None
        case Numeric():
            return point[name]
        case Reference() as reference:
            return reference
        case Listing(items=items):
            length = point[join(name, "length")]
            return [_plain(item, join(name, i), point) for i, item in enumerate(items[: int(length or 0)])]
        case Group(items=named):
            return {key: _plain(item, join(name, key), point) for key, item in named.items()}
        case expressions.Sequence(items=items):
            return [_plain(item, join(name, i), point) for i, item in enumerate(items)]
        case other:
            raise AssertionError(other)


class _Resolution:
    """A tree while its references are replaced: what was visited is counted, since references can multiply."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._n_visited = 0

    def whole(self) -> Any:
        return self._resolved(self._root, (), 0)

    def _resolved(self, part: Any, trail: tuple[Reference, ...], depth: int) -> Any:
        self._n_visited += 1
        if trail and self._n_visited > MAX_VALUES:
            raise DanglingReferenceError(trail[0], f"references multiply to more than {MAX_VALUES:,} values")
        if trail and depth > MAX_LEVELS:
            message = f"references lead more than {MAX_LEVELS} levels deep"
            raise DanglingReferenceError(trail[0], message)
        match part:
            case Reference(path=path):
                if path in (passed.path for passed in trail):
                    names = " → ".join((*(passed.path for passed in trail), path))
                    raise DanglingReferenceError(part, f"`ref: {path}` names itself, through {names}")
                return self._resolved(_look_up(self._root, part), (*trail, part), depth + 1)
            case dict():
                return {key: self._resolved(item, trail, depth + 1) for key, item in part.items()}
            case list():
                return [self._resolved(item, trail, depth + 1) for item in part]
            case _:
                return part


def _look_up(root: Any, reference: Reference) -> Any:
    found = root
    for step in reference.path.split("."):
        match found:
            case dict() if step in found:
                found = found[step]
            case list() if is_index(step, len(found)):
                found = found[int(step)]
            case _:
                message = f"`ref: {reference.path}` names nothing: there is no `{step}` there"
                raise DanglingReferenceError(reference, message)
    return found


def is_among(value: Scalar, values: Sequence[Scalar]) -> bool:
    """Whether ``value`` is one of ``values``; 1, 1.0 and true are three different values."""
    return any(type(value) is type(other) and value == other for other in values)


def children(expression: Group | expressions.Sequence) -> list[tuple[str | int, Expression]]:
    """The steps into a map or a fixed list, and what stands there."""
    if isinstance(expression, Group):
        return list(expression.items.items())
    return list(enumerate(expression.items))


def join(name: str, step: str | int) -> str:
    """The path of ``step`` under ``name``."""
    return f"{name}.{step}" if name else str(step)
