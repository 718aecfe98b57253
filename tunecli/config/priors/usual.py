"""Where good values of a parameter usually lie, as a person reads it.

A prior may move with other parameters: a learning rate with the optimizer, the momentum and the batch size. The usual
values are those at the usual values of these parameters, and one range for each option of a choice such as optimizers.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.config.domains import Categorical, bounds, value_of_unit
from tunecli.config.priors.prior import (
    Prior,
    Shift,
    number_of,
    option_position,
    position,
    shift_at,
    usual_numbers,
    usual_options,
)
from tunecli.config.space import Parameter, Space
from tunecli.trial import Scalar


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual values of a parameter.

    Attributes:
        ends: the smallest and the largest one of a range; None: the parameter is a choice.
        options: the usual options of a choice.
        beside: the options of another choice that these values belong to; empty: they belong to every trial.
    """

    ends: tuple[float, float] | None
    options: tuple[Scalar, ...] = ()
    beside: tuple[Scalar, ...] = ()


def usual_values(space: Space, parameter: Parameter) -> tuple[Usual, ...]:
    """The usual values of a parameter, the most likely ones first; empty if nothing is known of it.

    Args:
        space: the space, with its priors.
        parameter: a parameter of the space.
    """
    if (prior := parameter.prior) is None:
        return ()
    others = {other.key: other for other in space.parameters}
    moving = [shift for shift in prior.shifts if shift.key in others]
    shift = sum(shift_at(each, _usual_value(others[each.key])) for each in moving if not each.by_option)
    if (chooser := _chooser(moving)) is None:
        return (_moved(parameter, prior, shift),)
    options_of: dict[tuple[tuple[float, float] | None, tuple[Scalar, ...]], list[Scalar]] = {}
    for option in _most_likely_first(others[chooser.key]):
        usual = _moved(parameter, prior, shift + shift_at(chooser, option))
        options_of.setdefault((usual.ends, usual.options), []).append(option)
    if len(options_of) == 1:
        return tuple(Usual(*values) for values in options_of)
    return tuple(Usual(*values, tuple(options)) for values, options in options_of.items())


def choice_beside(space: Space, parameter: Parameter) -> Parameter | None:
    """The choice, such as that of the optimizer, with which the usual values of a parameter differ."""
    shift = _chooser(parameter.prior.shifts) if parameter.prior is not None else None
    return next((other for other in space.parameters if shift is not None and other.key == shift.key), None)


def _chooser(shifts: tuple[Shift, ...] | list[Shift]) -> Shift | None:
    return next((shift for shift in shifts if shift.by_option), None)


def _moved(parameter: Parameter, prior: Prior, shift: float) -> Usual:
    """The usual values if the prior's centre moves by ``shift``."""
    if isinstance(parameter.domain, Categorical):
        return Usual(None, usual_options(prior, parameter.domain, shift))
    return Usual(usual_numbers(prior, parameter.domain, shift))


def _usual_value(parameter: Parameter) -> Scalar:
    """The default of a parameter, else its most likely value, else the middle of its range."""
    prior, domain = parameter.prior, parameter.domain
    if parameter.default is not None:
        return parameter.default
    if prior is None:
        return value_of_unit(domain, 0.5)
    if isinstance(domain, Categorical):
        return _most_likely_first(parameter)[0]
    low, high = (number_of(value) or 0.0 for value in (bounds(domain)[0], bounds(domain)[-1]))
    return min(max(prior.centre, low), high)


def _most_likely_first(parameter: Parameter) -> list[Scalar]:
    """The options of a choice; those with the same prior stay in the order of the file."""
    prior, domain = parameter.prior, parameter.domain
    assert isinstance(domain, Categorical)
    if prior is None:
        return list(domain.options)
    if prior.weights:
        weights = dict(zip(domain.options, prior.weights, strict=True))
        return sorted(domain.options, key=lambda option: -weights[option])
    centre = position(prior.scale, prior.centre)
    return sorted(domain.options, key=lambda option: abs(option_position(prior, option) - centre))
