"""Whether a trial of one study could be one of another: the point at which the other's space is that very trial."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from tunecli.config import expressions
from tunecli.config.domains import Integer, contains
from tunecli.config.expressions import Choice, Expression, Fixed, Group, Listing, Numeric
from tunecli.config.schema import trial_of
from tunecli.config.space import DanglingReferenceError, Space, concrete, is_active, is_among, join
from tunecli.trial import Parameters, Scalar


def is_point(space: Space, point: Parameters) -> bool:
    """Whether ``point`` is of ``space``: a value for each parameter that is active, of its range, and no other."""
    values: dict[str, Scalar] = {}
    for parameter in space.parameters:
        if is_active(parameter, values):
            if parameter.name not in point or not contains(parameter.domain, point[parameter.name]):
                return False
            values[parameter.key] = point[parameter.name]
    return {parameter.name for parameter in space.parameters if parameter.key in values} == set(point)


def fitting_point(space: Space, point: Parameters, config: Any) -> Parameters | None:
    """The point of ``space`` whose concrete trial is ``config``.

    Args:
        space: where it is looked for.
        point: where ``config`` came from, in another space; it is taken as it is where it will do.
        config: a concrete trial, as plain data.

    Returns:
        None where the space holds no such trial, or it cannot be told where.
    """
    found: dict[str, Scalar] = {}
    if is_point(space, point) and _is_at(space, point, config):
        found = dict(point)
    elif not (
        _match(space.tree, "", config, found) and is_point(space, found) and _is_at(space, found, config)
    ):
        return None
    return {name: found[name] for name in space.names if name in found}


def _is_at(space: Space, point: Parameters, config: Any) -> bool:
    try:
        return _canonical(concrete(space, point)) == _canonical(config)
    except (DanglingReferenceError, ValidationError):
        return False


def _canonical(config: Any) -> str:
    """A trial with its defaults filled in, in one spelling: what it is, however it was written."""
    return json.dumps(trial_of(config).model_dump(), sort_keys=True)


def _match(expression: Expression, name: str, plain: Any, point: dict[str, Scalar]) -> bool:
    """Note in ``point`` the values at which ``expression`` may be ``plain``; False where it can be at none."""
    match expression:
        case Fixed(value=value):
            return bool(value == plain or {"name": value} == plain)
        case Numeric(domain=domain):
            is_whole = isinstance(plain, int) and not isinstance(plain, bool)
            value = float(plain) if is_whole and not isinstance(domain, Integer) else plain
            point[name] = value
            return contains(domain, value)
        case Choice(labels=labels, options=options):
            branches = sorted(
                zip(labels, options, strict=True), key=lambda each: not _is_exactly(each[1], plain)
            )
            for label, option in branches:
                inner: dict[str, Scalar] = {expression.name_at(name): label}
                if _match(option, name, plain, inner):
                    point |= inner
                    return True
            return False
        case Listing(items=items, lengths=lengths):
            if not isinstance(plain, list) or not contains(lengths, len(plain)):
                return False
            point[join(name, "length")] = len(plain)
            return _match_all(enumerate(items[: len(plain)]), name, plain, point)
        case expressions.Sequence(items=items):
            is_as_long = isinstance(plain, list) and len(plain) == len(items)
            return is_as_long and _match_all(enumerate(items), name, plain, point)
        case Group(items=named):
            parts = {"name": plain} if isinstance(plain, str) else plain
            if not isinstance(parts, Mapping):
                return False
            # A key that only one of the two spells out may stand at its default: that is seen in the end.
            is_told = all(isinstance(item, Fixed) for key, item in named.items() if key not in parts)
            shared = [(key, item) for key, item in named.items() if key in parts]
            return is_told and _match_all(shared, name, parts, point)
        case _:  # a reference gives what it names
            return True


def _is_exactly(option: Expression, plain: Any) -> bool:
    """1, 1.0 and true may be three options."""
    return isinstance(option, Fixed) and is_among(plain, (option.value,))


def _match_all(
    items: Iterable[tuple[str | int, Expression]], name: str, plain: Any, point: dict[str, Scalar]
) -> bool:
    return all(_match(item, join(name, step), plain[step], point) for step, item in items)
