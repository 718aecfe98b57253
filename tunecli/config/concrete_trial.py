"""The concrete trial at a point of a space: ranges, references and formulas are replaced by their values.

Also the points at which a space is checked, so that each branch and each bound is tried once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, combinations, islice, zip_longest
from typing import Any

from tunecli.config.domains import (
    Categorical,
    bounds,
    n_values,
    value_at,
)
from tunecli.config.earlier_defaults import with_defaults
from tunecli.config.expressions import (
    Broken,
    Choice,
    Derived,
    Expression,
    Fixed,
    FixedList,
    Group,
    Numeric,
    Reference,
    VariableList,
    children,
    is_among,
    join,
)
from tunecli.config.resolution import DanglingReferenceError, Resolution
from tunecli.config.schema import AnyTrial, trial_model, trial_of
from tunecli.config.secrets import resolved
from tunecli.config.space import Parameter, Space, point_with
from tunecli.trial import Parameters, Scalar

_MAX_PAIRS = 500  # the most combined changes that are tried to find an allowed point


def concrete(space: Space, point: Parameters) -> Any:
    """The plain tree at ``point``, with every range, `ref` and formula replaced by its value.

    In a study of earlier defaults, the tree names those that the file leaves open.

    Raises:
        KeyError: an active parameter has no value in ``point``.
        DanglingReferenceError: the path of a `ref` does not exist at this point, or the `ref` refers to itself; or a
            formula has no value there.
    """
    plain = Resolution(_plain(space.tree, "", point), point).whole()
    return with_defaults(plain, space.defaults)


def derived_values(space: Space, point: Parameters) -> dict[str, Scalar]:
    """The values of the formulas that are active at ``point``, by path. One without a value there is left out.

    Raises:
        KeyError: an active parameter has no value in ``point``.
    """
    if not space.derived_names:
        return {}
    tree = _plain(space.tree, "", point)
    resolution = Resolution(tree, point)
    values: dict[str, Scalar] = {}
    for path, derived in _derived(tree, ""):
        with suppress(DanglingReferenceError):
            values[path] = resolution.computed(derived)
    return values


def _derived(tree: Any, path: str) -> Iterator[tuple[str, Derived]]:
    """The formulas in a plain tree, each with its path."""
    match tree:
        case Derived():
            yield path, tree
        case dict():
            for key, item in tree.items():
                yield from _derived(item, join(path, key))
        case list():
            for place, item in enumerate(tree):
                yield from _derived(item, join(path, place))


def resolve_trial(space: Space, point: Parameters) -> AnyTrial:
    """The concrete trial at ``point`` of a checked space, with environment variables replaced by their values.

    Raises:
        UsageError: an environment variable is no longer set.
    """
    return trial_of(resolved(concrete(space, point)))


def trial_models(tree: Expression) -> set[type[AnyTrial]]:
    """The kinds of trial that a tree can become."""
    if isinstance(tree, Choice):
        return {model for option in tree.options for model in trial_models(option)}
    return {trial_model(tree.items if isinstance(tree, Group) else None)}


def concrete_trials(space: Space) -> Iterator[Any]:
    """The plain tree at each of `points_to_check` whose references all exist."""
    for point in points_to_check(space):
        with suppress(DanglingReferenceError):
            yield concrete(space, point)


def points_to_check(space: Space) -> Iterator[Parameters]:
    """Points that take every branch, and every range at each of its bounds, one at a time.

    A branch with a `ref` is combined with every option of every other choice, because the referenced key may exist for
    some of them only. If a constraint of the space does not allow such a point, one other parameter is changed; the
    point is left out if that does not help. At least one point is yielded.
    """
    if not space.constraints:
        yield from (point_with(space, chosen) for chosen in _to_check(space))
        return
    if "to check" not in space.memo:
        allowed = (_allowed_point(space, chosen) for chosen in _to_check(space))
        points = [point for point in allowed if point is not None]
        space.memo["to check"] = points or [next(iter(space.start), point_with(space, {}))]
    yield from space.memo["to check"]


def has_more_points(space: Space, n: int) -> bool:
    """Whether `points_to_check` has more than ``n`` points. False for a space with constraints: it is not counted."""
    return not space.constraints and next(islice(_to_check(space), n, None), None) is not None


def _allowed_point(space: Space, chosen: Mapping[str, Scalar]) -> Parameters | None:
    """The point with the ``chosen`` values, or one that differs in one or two other parameters, if it is allowed."""

    def allowed(values: Mapping[str, Scalar]) -> Parameters | None:
        point = point_with(space, values)
        return point if space.constraints.allow(point, partial(concrete, space)) else None

    if (point := allowed(chosen)) is not None:
        return point
    moves = [
        {parameter.key: value}
        for parameter in space.parameters
        if parameter.key not in chosen
        for value in (*bounds(parameter.domain), parameter.default)
        if value is not None
    ]
    pairs = ({**one, **other} for one, other in combinations(moves, 2))
    changes = chain(moves, islice(pairs, _MAX_PAIRS))
    # The chosen values come last: a change must not replace them.
    return next((point for change in changes if (point := allowed({**change, **chosen}))), None)


def _to_check(space: Space) -> Iterator[Mapping[str, Scalar]]:
    """The values by key of each point to check; all other parameters have their default or middle."""
    yield {}
    for parameter in space.parameters:
        for value in bounds(parameter.domain):
            yield {**parents_of(parameter), parameter.key: value}
    branches = [branch for branch in branches_with_references(space) if branch]
    for parameter in space.parameters:
        if isinstance(parameter.domain, Categorical):
            for branch in branches:
                for value in parameter.domain.options:
                    yield {**parents_of(parameter), parameter.key: value, **branch}


def points_of(space: Space, parameter: Parameter) -> Iterator[Parameters]:
    """Points at which one parameter takes each option or bound, and every other parameter its default or middle."""
    for value in bounds(parameter.domain):
        yield point_with(space, {**parents_of(parameter), parameter.key: value})


def parents_of(parameter: Parameter) -> dict[str, Scalar]:
    """The values of a parameter's parents, by key, that make it active."""
    return {condition.key: condition.values[-1] for condition in parameter.conditions if condition.values}


def branches_with_references(space: Space) -> list[dict[str, Scalar]]:
    """The branches that lead to each `ref`, as labels of choices and lengths of lists by key."""
    branches: list[dict[str, Scalar]] = []

    def visit(expression: Expression, key: str, taken: dict[str, Scalar]) -> None:
        match expression:
            case Reference() | Derived():
                branches.append(taken)
            case Group() | FixedList():
                for step, item in children(expression):
                    visit(item, join(key, step), taken)
            case Choice(labels=labels, options=options):
                for label, option in zip(labels, options, strict=True):
                    visit(option, f"{key}{{{label}}}", {**taken, key: label})
            case VariableList(items=items, lengths=lengths):
                longest = value_at(lengths, (n_values(lengths) or 1) - 1)
                for place, item in enumerate(items):
                    visit(item, join(key, place), {**taken, join(key, "length"): longest})

    visit(space.tree, "", {})
    return branches


def locate(
    space: Space, point: Parameters, path: Sequence[str | int]
) -> tuple[tuple[str | int, ...], Expression]:
    """Follow ``path`` as far as the tree at ``point`` goes.

    A validator's path also contains the names of union members, which are not keys of the tree; such steps are skipped.
    The name of a union member can equal a key (``python``). So a key with a plain value is skipped, too, if the next
    step is another key of the same map.

    Returns:
        The steps taken, and the deepest expression that they lead to.
    """
    taken: tuple[str | int, ...] = ()
    expression, name = _chosen(space.tree, "", point), ""
    for step, following in zip_longest(path, path[1:]):
        match expression:
            case Group(items=named) if step in named:
                inner = named[str(step)]
                if isinstance(inner, Fixed) and following in named:
                    continue
            case FixedList(items=items) | VariableList(items=items) if isinstance(step, int) and step < len(
                items
            ):
                inner = items[step]
            case _:
                continue
        name = join(name, step)
        expression, taken = _chosen(inner, name, point), (*taken, step)
    return taken, expression


def _chosen(expression: Expression, name: str, point: Parameters) -> Expression:
    """The expression at ``name``, after every choice on the way is made."""
    while isinstance(expression, Choice):
        chosen = point[expression.name_at(name)]
        branches = zip(expression.labels, expression.options, strict=True)
        expression = next(option for label, option in branches if is_among(chosen, (label,)))
    return expression


def _plain(expression: Expression, name: str, point: Parameters) -> Any:
    match _chosen(expression, name, point):
        case Fixed(value=value):
            return value
        case Broken():  # its problem is reported already
            return None
        case Numeric():
            return point[name]
        case Reference() | Derived() as reference:
            return reference
        case VariableList(items=items):
            length = point[join(name, "length")]
            return [_plain(item, join(name, i), point) for i, item in enumerate(items[: int(length or 0)])]
        case Group(items=named):
            return {key: _plain(item, join(name, key), point) for key, item in named.items()}
        case FixedList(items=items):
            return [_plain(item, join(name, i), point) for i, item in enumerate(items)]
        case other:
            raise AssertionError(other)
