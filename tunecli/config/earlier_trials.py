"""Map the trial of another study into a space: its values by the paths of parameters, and the point that they make.

A value comes from the trial's parameters, else from the fixed values of its file, else from the defaults of its keys.
A number inside a range becomes the range's nearest value. A parameter whose number is outside of the range, or whose
option the space does not have, is refused, and so is a fixed option, or an option where the space has another fixed
one. A fixed number outside of the range counts as no value, and so does any default that the space does not contain:
it is the same in all trials, and says little. A parameter without a value has its default or its middle, and is
*missing*.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from tunecli.config.concrete_trial import concrete
from tunecli.config.domains import Categorical, Domain, Normal, bounds, centre, contains
from tunecli.config.expressions import join
from tunecli.config.named_values import ValueRefusedError, nearest_value, value_in_domain
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import trial_of
from tunecli.config.space import Space, is_active, point_with
from tunecli.trial import Parameters, Scalar


@dataclass(frozen=True, slots=True)
class MappedTrial:
    """The trial of another study in a space.

    Attributes:
        point: the point; complete only if no value is refused.
        missing: the active parameters that the trial has no value for.
        refused: the first parameter whose value the space does not contain; empty: the point fits.
    """

    point: Parameters
    missing: frozenset[str] = frozenset()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class TrialValues:
    """The values of a trial by path.

    Attributes:
        parameters: those of its point.
        fixed: those that its file holds fixed, and the lengths of lists.
        defaults: those of the keys that its file leaves out.
    """

    parameters: Mapping[str, Scalar]
    fixed: Mapping[str, Scalar] = field(default_factory=dict)
    defaults: Mapping[str, Scalar] = field(default_factory=dict)


def values_of_trial(space: Space, point: Parameters) -> TrialValues:
    """The values of the trial at ``point`` of the space of its own study.

    The ``name`` of a map is also the value at the path of the map, since a choice of maps has this path.
    """
    try:
        plain = concrete(space, point)
    except (DanglingReferenceError, KeyError):
        return TrialValues(point)
    defaults: dict[str, Scalar] = {}
    with suppress(ValidationError):
        defaults = dict(_leaves(trial_of(plain).model_dump(by_alias=True), ""))
    return TrialValues(point, dict(_leaves(plain, "")), defaults)


def mapped_trial(space: Space, values: TrialValues) -> MappedTrial:
    """The point of ``space`` with the values of a trial of another study."""
    chosen: dict[str, Scalar] = {}
    missing: set[str] = set()
    for parameter in space.parameters:
        if not is_active(parameter, chosen):
            continue
        name, domain = parameter.name, parameter.domain
        value: Any = _NONE
        if name in values.parameters:
            value = _nearest_in(domain, values.parameters[name], name)
        elif name in values.fixed:
            value = _nearest_in(domain, values.fixed[name], name)
            value = _NONE if value is _OUTSIDE and not isinstance(domain, Categorical) else value
        elif name in values.defaults:
            value = _nearest_in(domain, values.defaults[name], name)
            value = _NONE if value is _OUTSIDE else value
        if value is _OUTSIDE:
            return MappedTrial({}, frozenset(missing), name)
        if value is _NONE:
            missing.add(name)
            value = centre(domain) if parameter.default is None else parameter.default
        chosen[parameter.key] = value
    point = point_with(space, chosen)
    return MappedTrial(point, frozenset(missing), with_other_option(space, point, values.parameters))


def with_other_option(space: Space, point: Parameters, parameters: Parameters) -> str:
    """The path at which the space has a fixed option, and a trial of another study chose another one; empty: nowhere.

    So the learning rate of `sgd` is not taken for that of `adamw`, where the new file names `adamw` alone.

    Args:
        space: the space.
        point: the point of the trial in the space.
        parameters: the trial's parameters in its own study.
    """
    try:
        fixed = dict(_leaves(concrete(space, point), ""))
    except (DanglingReferenceError, KeyError):
        return ""
    searched = {*space.names}
    for path, option in parameters.items():
        own = fixed.get(path) if path not in searched else None
        if isinstance(own, str) and isinstance(option, str) and option.partition("#")[0] != own:
            return path
    return ""


_OUTSIDE: Any = object()
_NONE: Any = object()


def _nearest_in(domain: Domain, value: Scalar, name: str) -> Any:
    """The value of a domain that is nearest to ``value``; ``_OUTSIDE`` if there is none."""
    with suppress(ValueRefusedError):
        return value_in_domain(domain, value, name)
    if isinstance(domain, Categorical) or isinstance(value, bool) or not isinstance(value, int | float):
        return _OUTSIDE
    if not math.isfinite(value):
        return _OUTSIDE
    if not isinstance(domain, Normal):
        numbers = [end for end in bounds(domain) if isinstance(end, int | float)]
        if not min(numbers) <= value <= max(numbers):
            return _OUTSIDE
    elif domain.is_log and value <= 0:
        return _OUTSIDE
    nearest = nearest_value(domain, value)
    return nearest if contains(domain, nearest) else _OUTSIDE


def _leaves(plain: Any, path: str) -> Iterator[tuple[str, Scalar]]:
    match plain:
        case dict():
            if path and isinstance(name := plain.get("name"), str):
                yield path, name
            for key, item in plain.items():
                yield from _leaves(item, join(path, key))
        case list() | tuple():
            yield join(path, "length"), len(plain)
            for place, item in enumerate(plain):
                yield from _leaves(item, join(path, place))
        case None | bool() | int() | float() | str():
            yield path, plain
