"""Constraints of a search: the conditions of `search.where`, and the combinations of values that are never proposed.

A condition applies to the points where all names that it needs have a value: a condition about the momentum of `sgd`
allows every point of another optimizer. A condition that cannot be computed at a point, since it divides by zero or
compares a text with a number, does not allow the point. A combination forbids the points that have all of its values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.config.arithmetic import Formula, FormulaError, MissingNameError, evaluate, value_in
from tunecli.trial import Parameters, Scalar

TreeAt = Callable[[Parameters], Any]
"""The concrete tree of a trial at a point; see :func:`tunecli.config.concrete_trial.concrete`."""
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Combination:
    """Values that are forbidden together.

    Attributes:
        values: names of parameters, each with one or more values.
        reason: why tunecli refuses them; empty if the file forbids them.
    """

    values: tuple[tuple[str, tuple[Scalar, ...]], ...]
    reason: str = ""

    def __str__(self) -> str:
        return " and ".join(
            f"{name} {' or '.join(_shown(value) for value in values)}" for name, values in self.values
        )


@dataclass(frozen=True, slots=True)
class Constraints:
    """Which points of a space a search may propose; without any constraint, all of them.

    Attributes:
        where: conditions that hold at every proposed point.
        forbid: combinations that the file forbids.
        refused: combinations of choices that tunecli itself refuses, see :mod:`tunecli.config.refusals`.
    """

    where: tuple[Formula, ...] = ()
    forbid: tuple[Combination, ...] = ()
    refused: tuple[Combination, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.where or self.forbid or self.refused)

    def __str__(self) -> str:
        parts = (*(condition.text for condition in self.where), *map(str, (*self.forbid, *self.refused)))
        return ", ".join(parts)

    def allow(self, point: Parameters, tree_at: TreeAt) -> bool:
        """Whether the point meets every constraint.

        Args:
            point: a point of the space.
            tree_at: makes the concrete tree; called only if a constraint names a value that is not a parameter.
        """
        value_of = _Values(point, tree_at)
        return all(_holds(condition, value_of) for condition in self.where) and not any(
            _matches(combination, value_of) for combination in (*self.forbid, *self.refused)
        )

    def broken(self, point: Parameters, tree_at: TreeAt) -> Iterator[str]:
        """The conditions and combinations that a point breaks, each as a text."""
        value_of = _Values(point, tree_at)
        for condition in self.where:
            if not _holds(condition, value_of):
                yield f"`{condition.text}` of `search.where` does not hold"
        for combination in self.forbid:
            if _matches(combination, value_of):
                yield f"`search.forbid` forbids {combination}"
        for combination in self.refused:
            if _matches(combination, value_of):
                yield f"{combination} do not work together: {combination.reason}"

    def incomputable(self, point: Parameters, tree_at: TreeAt) -> Iterator[tuple[Formula, str]]:
        """The conditions that cannot be computed at a point, each with the reason."""
        value_of = _Values(point, tree_at)
        for condition in self.where:
            try:
                evaluate(condition, value_of)
            except MissingNameError:
                continue
            except FormulaError as error:
                yield condition, error.message


NO_CONSTRAINTS = Constraints()


class _Values:
    """The values at one point by name; the concrete tree is made if a name is not that of a parameter."""

    def __init__(self, point: Parameters, tree_at: TreeAt) -> None:
        self._point, self._tree_at, self._tree = point, tree_at, _ABSENT

    def __call__(self, name: str) -> Scalar:
        """The value of ``name``.

        Raises:
            KeyError: the name has no value at this point.
        """
        if name in self._point:
            return self._point[name]
        inside = f"params.{name}"
        if inside in self._point:
            return self._point[inside]
        if self._tree is _ABSENT:
            try:
                self._tree = self._tree_at(self._point)
            except LookupError:  # a reference of the trial points to nothing
                self._tree = {}
        try:
            return value_in(self._point, self._tree, name)
        except KeyError:  # a map that is not searched counts as its name, as the label of a choice does
            return value_in(self._point, self._tree, f"{name}.name")


def _holds(condition: Formula, value_of: _Values) -> bool:
    try:
        return evaluate(condition, value_of) is True
    except MissingNameError:
        return True
    except FormulaError:
        return False


def _matches(combination: Combination, value_of: _Values) -> bool:
    for name, values in combination.values:
        try:
            value = value_of(name)
        except KeyError:
            return False
        if not is_one_of(value, values):
            return False
    return True


def is_one_of(value: Scalar, values: Sequence[Scalar]) -> bool:
    """Whether ``value`` equals one of ``values``: 1 equals 1.0, and no number equals a boolean."""
    return any(value == other and isinstance(value, bool) is isinstance(other, bool) for other in values)


def _shown(value: Scalar) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
