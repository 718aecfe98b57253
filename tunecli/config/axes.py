"""The axis of a parameter: a name that no other parameter has, its condition in words, its ends, and positions on it.

The model of the scores and the report share them, so a profile and a trial lie on one axis.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from tunecli.config.domains import (
    Categorical,
    Domain,
    Integer,
    Normal,
    Powers,
    Real,
    last_value,
    n_values,
    position_of,
    power_at,
    value_of_unit,
)
from tunecli.config.labels import shown
from tunecli.config.space import Condition, Parameter, Space
from tunecli.trial import Scalar

_TAIL = 0.001  # of a normal distribution, beyond each end of its axis


def varying_parameters(space: Space) -> tuple[Parameter, ...]:
    """The parameters with more than one value, in the order of the file; branches have parameters of their own."""
    return tuple(parameter for parameter in space.parameters if n_values(parameter.domain) != 1)


def distinct_names(space: Space) -> dict[str, str]:
    """A name for each parameter of the space, by its key, that no other parameter has.

    It is the parameter's name. Where several branches have a parameter of one name, the options that lead to the
    branch follow: ``optimizer.lr (adamw)``.
    """
    times = Counter(parameter.name for parameter in space.parameters)
    names = {
        parameter.key: parameter.name
        if times[parameter.name] == 1
        else f"{parameter.name} ({_branch(parameter)})"
        for parameter in space.parameters
    }
    repeated = Counter(names.values())
    return {key: name if repeated[name] == 1 else key for key, name in names.items()}


def _branch(parameter: Parameter) -> str:
    return ", ".join(_values(condition) for condition in parameter.conditions)


def condition_text(space: Space, parameter: Parameter) -> str:
    """When the parameter is active: ``optimizer = adamw``, or ``model.hidden.length ≥ 3``; empty: always."""
    return " and ".join(_conditions(space, parameter))


def _conditions(space: Space, parameter: Parameter) -> Iterator[str]:
    parents = {each.key: each for each in space.parameters}
    for condition in parameter.conditions:
        parent = parents[condition.key]
        if isinstance(parent.domain, Integer) and condition.values:
            least = min(int(value) for value in condition.values if isinstance(value, int))
            if least > parent.domain.low:
                yield f"{parent.name} ≥ {least}"
        else:
            yield f"{parent.name} = {_values(condition)}"


def _values(condition: Condition) -> str:
    return " or ".join(map(shown, condition.values))


def axis_ends(domain: Domain) -> tuple[float, float]:
    """The ends of a numeric domain's axis: those of the range; of a normal distribution its outer quantiles.

    Options have the ends 0 and 1.
    """
    ends: tuple[Scalar, ...]
    match domain:
        case Categorical():
            return 0.0, 1.0
        case Normal():
            ends = (value_of_unit(domain, _TAIL), value_of_unit(domain, 1 - _TAIL))
        case Powers(exponents=exponents):
            ends = tuple(power_at(domain, exponent) for exponent in _exponent_ends(exponents))
        case Integer() | Real():
            ends = (domain.low, last_value(domain))
    low, high = sorted(float(end) for end in ends if isinstance(end, int | float))
    return low, high


def _exponent_ends(exponents: Integer | Real | Normal) -> tuple[Scalar, Scalar]:
    low, high = axis_ends(exponents)
    return (int(low), int(high)) if isinstance(exponents, Integer) else (low, high)


def is_log_axis(domain: Domain) -> bool:
    """Whether positions on the axis follow the logarithm of the value."""
    return isinstance(domain, Powers) or (not isinstance(domain, Categorical) and domain.is_log)


def axis_position(domain: Domain, value: Scalar) -> float | None:
    """The position of a value on its domain's axis: from 0 at the lower end to 1 at the upper; of an option its index.

    A value beyond an end gets the position of the end. None: no option equals the value, or it is no number.
    """
    return positions_on(domain)(value)


def positions_on(domain: Domain) -> Callable[[Scalar], float | None]:
    """`axis_position` as a function of the value, for many values of one domain."""
    if isinstance(domain, Categorical):

        def index_of(value: Scalar) -> float | None:
            index = position_of(domain, value)
            return None if index is None else float(index)

        return index_of
    (low, high), is_log = axis_ends(domain), is_log_axis(domain)

    def position(value: Scalar) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            return None
        return position_between(low, high, value, is_log=is_log)

    return position


def position_between(low: float, high: float, value: float, *, is_log: bool) -> float:
    """Where ``value`` lies from ``low`` (0) to ``high`` (1), in logarithms if ``is_log``; clipped to [0, 1]."""
    if not low < high:
        return 0.5
    if value <= low or value >= high:
        return 0.0 if value <= low else 1.0
    if is_log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(max((value - low) / (high - low), 0.0), 1.0) if low < high else 0.5
