"""Read `search.start`: the points that a study tries first, each a map of values by the names of parameters.

A point may be partial: a parameter that is left out has its default or middle, or a value near it at which the
constraints hold. A value of a parameter inside a branch chooses the branch, if no other branch has a parameter of that
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from tunecli.config.arithmetic import value_in
from tunecli.config.concrete_trial import concrete, locate
from tunecli.config.constraints import is_one_of
from tunecli.config.domains import centre, contains
from tunecli.config.expressions import Expression, FixedList, Group
from tunecli.config.feasibility import is_feasible, nearest_feasible, random_points
from tunecli.config.labels import shown
from tunecli.config.named_values import (
    NamedValue,
    ValueRefusedError,
    known_name,
    named_values,
    names_of_space,
    value_in_domain,
)
from tunecli.config.reader import Mark
from tunecli.config.space import Parameter, Space, default_point, is_active, point_with
from tunecli.errors import Problem
from tunecli.trial import Parameters, Scalar

Report = Callable[[Problem], None]
_N_TRIED = 1000  # random points from which the rest of a start point is taken


def start_points(space: Space, settings: Space, report: Report) -> tuple[Parameters, ...]:
    """The points of `search.start`, in order; each problem is passed to ``report``.

    A point is refused if it is given twice, or if a constraint of the space does not allow it.

    Args:
        space: the space of the trials, with its constraints.
        settings: the tree of the settings.
        report: takes a problem.
    """
    taken, expression = locate(settings, {}, ("search", "start"))
    if len(taken) != 2 or not isinstance(expression, FixedList):
        return ()
    points: dict[int, Parameters] = {}
    for number, item in enumerate(expression.items):
        place = f"search.start.{number}"
        point = _point(space, item, place, report)
        if point is None:
            continue
        earlier = next((other for other, known in points.items() if is_same_point(known, point)), None)
        if earlier is not None:
            message = f"this is the same point as search.start.{earlier}"
            report(Problem(message, item.mark.file, item.mark.line, item.mark.column, place))
        elif not is_feasible(space, point):
            broken = "; ".join(space.constraints.broken(point, partial(concrete, space)))
            values = ", ".join(f"{name} {shown(value)}" for name, value in point.items())
            mark, hint = item.mark, f"the whole point is {values}"
            report(Problem(broken, mark.file, mark.line, mark.column, place, hint))
        points[number] = point
    return tuple(points.values())


def completed_point(space: Space, values: Mapping[str, Scalar]) -> Parameters | None:
    """The point with the values that belong to parameters of the space, and the default or middle of all others.

    Returns:
        None if a value does not fit its range, if the point does not use it, or if no value belongs to a parameter.
    """
    mark = Mark("", 0, 0)
    entries = {name: NamedValue(name, value, mark) for name, value in values.items() if name in space.names}
    problems: list[Problem] = []
    point, used = _completed(space, entries, "", problems)
    is_fitting = not problems and used == {*entries}
    return point if is_fitting and (entries or not values) else None


def is_same_point(one: Parameters, other: Parameters) -> bool:
    """Whether two points are equal; 1, 1.0 and true are three different values."""
    return one == other and all(type(value) is type(other[name]) for name, value in one.items())


def _point(space: Space, item: Expression, place: str, report: Report) -> Parameters | None:
    if not isinstance(item, Group):  # the settings report it
        return None
    entries: dict[str, NamedValue] = {}
    problems: list[Problem] = []
    try:
        given = list(named_values(item))
    except ValueRefusedError as problem:
        report(problem.at(item.mark, place))
        return None
    for entry in given:
        for part in _items_of_list(space, entry):
            try:
                entries[known_name(space, part.name)] = part
            except ValueRefusedError as problem:
                problems.append(problem.at(part.mark, f"{place}.{part.name}"))
    point, used = _completed(space, entries, place, problems)
    if not problems and not is_feasible(space, point):
        implied = _implied(space, entries)
        used_or_implied = {*used, *(p.name for p in space.parameters if p.key in implied)}
        kept = {name: value for name, value in point.items() if name in used_or_implied}
        point = _feasible_completion(space, point, kept) or point
    for name, entry in entries.items():
        if name not in used and (unused := _unused(space, point, name, entry)) is not None:
            problems.append(unused.at(entry.mark, f"{place}.{entry.name}"))
    for one in problems:
        report(one)
    return None if problems else point


def _items_of_list(space: Space, entry: NamedValue) -> Iterator[NamedValue]:
    """The length and the items of a list of parameters, such as ``hidden: [64, 32]``; else the entry itself."""
    if not isinstance(entry.value, tuple):
        yield entry
        return
    paths = (entry.name, f"params.{entry.name}")
    if not any(name.startswith(f"{path}.") for name in names_of_space(space) for path in paths):
        yield entry
        return
    for path in paths:
        if f"{path}.length" in space.names:
            yield NamedValue(f"{path}.length", len(entry.value), entry.mark)
    for number, value in enumerate(entry.value):
        yield NamedValue(f"{entry.name}.{number}", value, entry.mark)


def _completed(
    space: Space, entries: dict[str, NamedValue], place: str, problems: list[Problem]
) -> tuple[Parameters, set[str]]:
    """The point with the given values, and the names that it uses; a wrong value becomes a problem."""
    defaults, implied = default_point(space) or {}, _implied(space, entries)
    chosen: dict[str, Scalar] = {}
    used: set[str] = set()
    for parameter in space.parameters:
        if not is_active(parameter, chosen):
            continue
        name, domain = parameter.name, parameter.domain
        value = centre(domain) if parameter.default is None else parameter.default
        if name in defaults and contains(domain, defaults[name]):
            value = defaults[name]
        if name in entries:
            used.add(name)
            try:
                given = entries[name].value
                if isinstance(given, tuple):
                    raise ValueRefusedError(f"`{name}` is one value, not a list")
                value = value_in_domain(domain, given, name)
            except ValueRefusedError as problem:
                problems.append(problem.at(entries[name].mark, f"{place}.{entries[name].name}"))
        elif parameter.key in implied:
            value = implied[parameter.key]
        chosen[parameter.key] = value
    return point_with(space, chosen), used


def _feasible_completion(space: Space, point: Parameters, given: Parameters) -> Parameters | None:
    """A feasible point with the ``given`` values, near ``point``; None if about 1,000 random points lead to none."""

    def is_wanted(other: Parameters) -> bool:
        return is_feasible(space, _with_given(space, other, given))

    for anchor in islice(random_points(space), _N_TRIED):
        if is_wanted(anchor):
            nearest = nearest_feasible(space, point, anchor, is_wanted)
            return None if nearest is None else _with_given(space, nearest, given)
    return None


def _with_given(space: Space, point: Parameters, given: Parameters) -> Parameters:
    """``point`` with the ``given`` values in place of its own; a parameter that this makes active has its middle."""
    chosen: dict[str, Scalar] = {}
    for parameter in space.parameters:
        value = given.get(parameter.name, point.get(parameter.name))
        if is_active(parameter, chosen) and value is not None and contains(parameter.domain, value):
            chosen[parameter.key] = value
        elif is_active(parameter, chosen):
            chosen[parameter.key] = (
                centre(parameter.domain) if parameter.default is None else parameter.default
            )
    return point_with(space, chosen)


def _implied(space: Space, entries: dict[str, NamedValue]) -> dict[str, Scalar]:
    """The branches, by the key of the choice, that contain the given parameters."""
    by_name: dict[str, list[Parameter]] = {}
    for parameter in space.parameters:
        by_name.setdefault(parameter.name, []).append(parameter)
    implied: dict[str, Scalar] = {}
    for name in entries:
        owners: Sequence[Parameter] = by_name.get(name, ())
        if len(owners) == 1:
            for condition in owners[0].conditions:
                if condition.values:
                    implied.setdefault(condition.key, condition.values[0])
    return implied


def _unused(space: Space, point: Parameters, name: str, entry: NamedValue) -> ValueRefusedError | None:
    """The problem of a value that the point does not use; None if the file fixes the same value."""
    if name in space.names:
        parents = {key for p in space.parameters if p.name == name for key in (c.key for c in p.conditions)}
        names = {p.name: point.get(p.name) for p in space.parameters if p.key in parents and p.name in point}
        because = " and ".join(f"{parent} is {shown(value)}" for parent, value in names.items())
        return ValueRefusedError(f"`{name}` is not used in this point, because {because}")
    try:
        fixed = value_in(point, concrete(space, point), name)
    except LookupError:
        return ValueRefusedError(f"`{name}` does not exist in this point")
    if not isinstance(entry.value, tuple) and is_one_of(entry.value, (fixed,)):
        return None
    return ValueRefusedError(f"`{name}` is always {shown(fixed)}: the file gives it no range")
