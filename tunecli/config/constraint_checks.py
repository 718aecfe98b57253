"""Read `search.where` and `search.forbid`: conditions and combinations → `Constraints`, or problems with their places.

A name that the trial does not have, a text that is not a condition, a value that a parameter never takes, and
constraints that no point meets are problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from tunecli.config.arithmetic import Formula, FormulaError, formula_of
from tunecli.config.concrete_trial import concrete, locate
from tunecli.config.constraints import Combination, Constraints
from tunecli.config.domains import Domain
from tunecli.config.expressions import Expression, Fixed, FixedList, Group
from tunecli.config.feasibility import Share, feasible_share, has_feasible_point, random_points
from tunecli.config.formula_syntax import Call, Chain, Constant, Power, Prefix, Term
from tunecli.config.named_values import (
    NamedValue,
    ValueRefusedError,
    known_name,
    named_values,
    value_in_domain,
)
from tunecli.config.reader import Mark
from tunecli.config.space import Space
from tunecli.errors import Problem
from tunecli.trial import Scalar

Report = Callable[[Problem], None]
_N_TRIED = 1000  # random points at which single conditions are tried
_ARITHMETIC = ("+", "-", "*", "/", "//", "%")


def constraints_of(space: Space, settings: Space, report: Report) -> Constraints:
    """The constraints of `search.where` and `search.forbid`; each problem is passed to ``report``.

    Args:
        space: the space of the trials.
        settings: the tree of the settings.
        report: takes a problem.
    """
    where = [_condition(space, item, place, report) for place, item in _items(settings, "where")]
    forbid = [_combination(space, item, place, report) for place, item in _items(settings, "forbid")]
    return Constraints(tuple(filter(None, where)), tuple(filter(None, forbid)))


def _items(settings: Space, key: str) -> Iterator[tuple[str, Expression]]:
    """The items of a list under ``search``, each with its path."""
    taken, expression = locate(settings, {}, ("search", key))
    if len(taken) == 2 and isinstance(expression, FixedList):
        yield from ((f"search.{key}.{number}", item) for number, item in enumerate(expression.items))


def _condition(space: Space, item: Expression, place: str, report: Report) -> Formula | None:
    if not isinstance(item, Fixed) or not isinstance(item.value, str):
        return None
    mark = item.mark
    try:
        formula = formula_of(item.value)
        if not _is_condition(formula.root):
            raise FormulaError(
                f"`{formula.text}` is not a condition", None, "compare two values, such as `a <= b / 2`"
            )
        for name in formula.names:
            try:
                known_name(space, name)
            except ValueRefusedError as problem:
                raise FormulaError(problem.message, formula.offset_of(name), problem.hint) from None
    except FormulaError as error:
        at = "" if error.offset is None else f", at character {error.offset + 1} of `{_short(item.value)}`"
        message = f"{error.message}{at}"
        report(Problem(message, mark.file, mark.line, mark.column, place, error.hint))
        return None
    return formula


def _is_condition(term: Term) -> bool:
    """Whether a formula can be true or false."""
    match term:
        case Constant(value=value):
            return isinstance(value, bool)
        case Prefix(operator=operator):
            return operator == "not"
        case Chain(rest=((operator, _), *_)):
            return operator not in _ARITHMETIC
        case Call() | Power():
            return False
        case _:  # the value of a parameter may be true or false
            return True


def _combination(space: Space, item: Expression, place: str, report: Report) -> Combination | None:
    if not isinstance(item, Group):  # the settings report it
        return None
    values: list[tuple[str, tuple[Scalar, ...]]] = []
    mark, is_sound = item.mark, True
    try:
        entries = list(named_values(item))
    except ValueRefusedError as problem:
        report(problem.at(mark, place))
        return None
    if not entries:
        report(Problem("an empty combination forbids every point", mark.file, mark.line, mark.column, place))
        return None
    for entry in entries:
        try:
            values.append(_forbidden(space, entry))
        except ValueRefusedError as problem:
            report(problem.at(entry.mark, f"{place}.{entry.name}"))
            is_sound = False
    return Combination(tuple(values)) if is_sound else None


def _forbidden(space: Space, entry: NamedValue) -> tuple[str, tuple[Scalar, ...]]:
    name = known_name(space, entry.name)
    wanted = entry.value if isinstance(entry.value, tuple) else (entry.value,)
    domains: list[Domain] = [p.domain for p in space.parameters if p.name == name]
    if not domains:  # a value that the file fixes
        return name, wanted
    values: list[Scalar] = []
    for value in wanted:
        problems: list[ValueRefusedError] = []
        for domain in domains:
            try:
                values.append(value_in_domain(domain, value, name))
            except ValueRefusedError as problem:
                problems.append(problem)
        if len(problems) == len(domains):
            raise problems[0]
    return name, tuple(values)


def emptiness_problems(space: Space, settings: Space) -> Iterator[Problem]:
    """The problem of constraints that no point meets, at the first condition that fails by itself."""
    if has_feasible_point(space):
        return
    share = feasible_share(space)
    for place, mark, alone in _alone(space, settings):
        if not has_feasible_point(alone):
            yield _empty(share, f"`{alone.constraints}`", place, mark)
            return
    for key in ("where", "forbid"):
        taken, expression = locate(settings, {}, ("search", key))
        if len(taken) == 2:
            yield _empty(share, f"`search.{key}`", f"search.{key}", expression.mark)
            return


def _empty(share: Share, constraint: str, place: str, mark: Mark) -> Problem:
    if share.is_exact:
        message, hint = f"no point of the space meets {constraint}", ""
    else:
        message = f"none of {share.n_points:,} random points meets {constraint}"
        hint = (
            "widen it, compute one parameter from the others, or name a point that meets it in `search.start`"
        )
    return Problem(message, mark.file, mark.line, mark.column, place, hint)


def _alone(space: Space, settings: Space) -> Iterator[tuple[str, Mark, Space]]:
    """The space with each constraint alone."""
    constraints = space.constraints
    for (place, item), formula in zip(_items(settings, "where"), constraints.where, strict=True):
        yield place, item.mark, replace(space, constraints=Constraints(where=(formula,)))
    for (place, item), combination in zip(_items(settings, "forbid"), constraints.forbid, strict=True):
        yield place, item.mark, replace(space, constraints=Constraints(forbid=(combination,)))


def incomputable_conditions(space: Space) -> dict[str, tuple[str, float]]:
    """The conditions that cannot be computed at some points: the reason and the fraction of random points, by text."""
    reasons: dict[str, list[str]] = {}
    for point in islice(random_points(space), _N_TRIED):
        for condition, reason in space.constraints.incomputable(point, partial(concrete, space)):
            reasons.setdefault(condition.text, []).append(reason)
    return {text: (messages[0], len(messages) / _N_TRIED) for text, messages in reasons.items()}


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:58]} …"
