"""References and formulas of a trial's tree at a point → their values.

A `ref` repeats the value at another path, which may be a map or a list. A formula (`expr`) computes one value from
others. Both may lead to further ones, and their number and depth are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from tunecli.config.arithmetic import FormulaError, MissingNameError, evaluate, value_in
from tunecli.config.expressions import Derived, Reference, join
from tunecli.config.paths import is_index
from tunecli.config.suggestions import nearest
from tunecli.trial import Parameters, Scalar

MAX_VALUES = 10_000
"""Largest number of values in a trial, with each reference counted as the value it refers to."""
MAX_LEVELS = 100
"""Largest depth of the values that a reference refers to, in levels below the root."""


_MOST_NAMES = 8  # of a formula, in a message


class DanglingReferenceError(LookupError):
    """A `ref` whose path does not exist at a point, or that refers to itself; or a formula without a value there.

    Attributes:
        reference: the reference or formula.
        message: the mistake.
        hint: how to correct it; may be empty.
    """

    def __init__(self, reference: Reference | Derived, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.reference, self.message, self.hint = reference, message, hint


class Resolution:
    """A tree while its references and formulas are replaced.

    It counts the visited values, because references can multiply.
    """

    def __init__(self, root: Any, point: Parameters) -> None:
        self._root, self._point = root, point
        self._n_visited = 0
        self._value_of: dict[int, Scalar] = {}

    def whole(self) -> Any:
        return self._resolved(self._root, (), 0)

    def computed(self, derived: Derived) -> Scalar:
        """The value of a formula. Formulas in it are computed first, without recursion, so any number may follow."""
        waiting = [derived]
        while waiting:
            current = waiting[-1]
            try:
                value = evaluate(current.formula, self._named)
            except _PendingFormula as pending:
                if any(pending.derived is earlier for earlier in waiting):
                    names = " → ".join(f"`{one.formula.text}`" for one in (*waiting, pending.derived))
                    raise DanglingReferenceError(current, f"a formula refers to itself: {names}") from None
                waiting.append(pending.derived)
            except MissingNameError as error:
                raise self._missing(current, error.name) from None
            except FormulaError as error:
                raise DanglingReferenceError(current, self._failed(current, error.message)) from None
            else:
                self._value_of[id(waiting.pop())] = value
        return self._value_of[id(derived)]

    def _named(self, name: str) -> Scalar:
        """The value of a name in a formula; a KeyError says that it has none."""
        value = value_in(self._point, self._root, name)
        n_references = 0
        while isinstance(value, Reference):
            n_references += 1
            if n_references > MAX_LEVELS:
                raise DanglingReferenceError(value, f"`ref: {value.path}` refers to itself")
            value = _look_up(self._root, value)
        if isinstance(value, Derived):
            if id(value) not in self._value_of:
                raise _PendingFormula(value)
            return self._value_of[id(value)]
        if isinstance(value, dict | list):
            raise KeyError(name)
        return value

    def _missing(self, derived: Derived, name: str) -> DanglingReferenceError:
        paths = [*_leaf_paths(self._root, "")]
        is_parent = any(path.startswith((f"{name}.", f"params.{name}.")) for path in paths)
        state = "is a map or a list, not a single value" if is_parent else "does not exist here"
        message = f"`{name}` in `expr: {derived.formula.text}` {state}"
        return DanglingReferenceError(derived, message, nearest(name, [*self._point, *paths]))

    def _failed(self, derived: Derived, message: str) -> str:
        """The message of a formula that has no value, with the values of its names."""
        values = []
        for name in derived.formula.names[:_MOST_NAMES]:
            with suppress(KeyError, DanglingReferenceError, _PendingFormula):
                values.append(f"{name} is {json.dumps(self._named(name))}")
        where = f" where {' and '.join(values)}" if values else ""
        return f"`expr: {derived.formula.text}` has no value{where}: {message}"

    def _resolved(self, part: Any, trail: tuple[Reference, ...], depth: int) -> Any:
        self._n_visited += 1
        if trail and self._n_visited > MAX_VALUES:
            raise DanglingReferenceError(trail[0], f"references expand to more than {MAX_VALUES:,} values")
        if trail and depth > MAX_LEVELS:
            message = f"references are nested more than {MAX_LEVELS} levels deep"
            raise DanglingReferenceError(trail[0], message)
        match part:
            case Reference(path=path):
                if path in (passed.path for passed in trail):
                    names = " → ".join((*(passed.path for passed in trail), path))
                    raise DanglingReferenceError(part, f"`ref: {path}` refers to itself: {names}")
                return self._resolved(_look_up(self._root, part), (*trail, part), depth + 1)
            case Derived():
                return self.computed(part)
            case dict():
                return {key: self._resolved(item, trail, depth + 1) for key, item in part.items()}
            case list():
                return [self._resolved(item, trail, depth + 1) for item in part]
            case _:
                return part


class _PendingFormula(Exception):  # noqa: N818  # a signal, not an error
    """A formula needs the value of another one, which is not computed yet."""

    def __init__(self, derived: Derived) -> None:
        super().__init__()
        self.derived = derived


def _leaf_paths(tree: Any, path: str) -> Iterator[str]:
    match tree:
        case dict():
            for key, item in tree.items():
                yield from _leaf_paths(item, join(path, key))
        case list():
            for place, item in enumerate(tree):
                yield from _leaf_paths(item, join(path, place))
        case _:
            yield path


def _look_up(root: Any, reference: Reference) -> Any:
    value = root
    for step in reference.path.split("."):
        match value:
            case dict() if step in value:
                value = value[step]
            case list() if is_index(step, len(value)):
                value = value[int(step)]
            case _:
                message = f"`ref: {reference.path}` does not exist: no key `{step}`"
                raise DanglingReferenceError(reference, message)
    return value
