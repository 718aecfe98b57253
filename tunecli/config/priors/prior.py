"""A prior: a distribution of a parameter's good values, as plain numbers that a study's record can hold.

The prior of a number is normal on the *scale* of its knob: the logarithm of a learning rate, the plain value of a
dropout, the logarithm of 1 - momentum. So it does not depend on how the file declares the range. The prior of a choice
is a weight for each option. Pure functions over frozen values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

from tunecli.config.domains import Categorical, Domain, bounds
from tunecli.trial import Scalar

Scale = Literal["linear", "log", "below_one"]
"""How values become positions: the value; its decimal logarithm; minus the decimal logarithm of 1 - value."""

FLOOR = 0.1
"""Density far from the centre, as a fraction of that at the centre: no value is ruled out."""
_FARTHEST = 1.645  # deviations from the centre to the range; beyond it, 95 % of the prior's mass are outside
_LEAST = 1e-15
# A 0 on a logarithmic scale, and an option that is no number, have no position: they count as so far from the centre.
_DEVIATIONS_WITHOUT_POSITION = 1.0


@dataclass(frozen=True, slots=True)
class Shift:
    """How the centre of a prior moves with the value of another parameter, in units of the prior's scale.

    Attributes:
        key: the other parameter's key.
        by_option: the shift for each option of a choice; empty: the shift is linear in the other's position.
        scale, slope, reference: shift = slope * (position(value) - position(reference)) on this scale.
    """

    key: str
    by_option: tuple[tuple[Scalar, float], ...] = ()
    scale: Scale = "log"
    slope: float = 0.0
    reference: float = 1.0


@dataclass(frozen=True, slots=True)
class Prior:
    """The distribution of a parameter's good values.

    Attributes:
        knob: the entry of `tunecli.config.priors.table` that it is from.
        scale: of the numbers.
        centre: the value at the centre; not used with ``weights``.
        deviation: standard deviation in units of the scale; of a logarithmic one in powers of ten.
        shifts: the other parameters that move the centre.
        weights: of a choice without numbers, one for each option.
    """

    knob: str
    scale: Scale = "linear"
    centre: float = 0.0
    deviation: float = 1.0
    shifts: tuple[Shift, ...] = ()
    weights: tuple[float, ...] = ()


def position(scale: Scale, value: float) -> float:
    """The position of a number on a scale; numbers that have none are moved to the nearest one that has."""
    match scale:
        case "log":
            return math.log10(max(value, _LEAST))
        case "below_one":
            return -math.log10(max(1.0 - value, _LEAST))
        case "linear":
            return value


def value_at_position(scale: Scale, at: float) -> float:
    """The number at a position; the inverse of :func:`position`."""
    match scale:
        case "log":
            return float(10.0 ** min(at, 300.0))
        case "below_one":
            return 1.0 - float(10.0 ** -max(at, -300.0))
        case "linear":
            return at


def shift_at(shift: Shift, value: Scalar) -> float:
    """The shift if the other parameter has ``value``; 0 for a value of which nothing is known."""
    if shift.by_option:
        return next((by for option, by in shift.by_option if option == value), 0.0)
    number = number_of(value)
    if number is None:
        return 0.0
    return shift.slope * (position(shift.scale, number) - position(shift.scale, shift.reference))


def number_of(value: Scalar) -> float | None:
    """The value as a number; None for a text, a boolean or null."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def name_of(option: Scalar) -> str:
    """The name of an option by its label, in lower case; the second one of the name `sgd` has the label ``sgd#2``."""
    return str(option).partition("#")[0].lower()


def option_position(prior: Prior, value: Scalar, shift: float = 0.0) -> float:
    """The position of an option of a choice, or of a value of a range; a deviation below the centre if it has none.

    Args:
        prior: of the parameter.
        value: the option or value.
        shift: of the centre.
    """
    number = number_of(value)
    if number is None or (prior.scale == "log" and number <= 0):
        return position(prior.scale, prior.centre) + shift - _DEVIATIONS_WITHOUT_POSITION * prior.deviation
    return position(prior.scale, number)


def ends(prior: Prior, domain: Domain) -> tuple[float, float] | None:
    """The positions of the smallest and the largest number of a domain; None if it has no numbers."""
    numbers = [number for value in bounds(domain) if (number := number_of(value)) is not None]
    if isinstance(domain, Categorical) and prior.scale == "log":
        numbers = [number for number in numbers if number > 0]
    if not numbers:
        return None
    return position(prior.scale, min(numbers)), position(prior.scale, max(numbers))


def is_informative(prior: Prior, domain: Domain) -> bool:
    """Whether the prior tells the values of the domain apart: its mass must not lie outside almost entirely."""
    if prior.weights:
        return len(set(prior.weights)) > 1
    of_range = ends(prior, domain)
    return of_range is not None and of_range[0] != of_range[1] and not lies_outside(prior, domain)


def lies_outside(prior: Prior, domain: Domain) -> bool:
    """Whether the prior of a number lies outside of the domain almost entirely."""
    if prior.weights or (of_range := ends(prior, domain)) is None:
        return False
    centre = position(prior.scale, prior.centre)
    outside = max(of_range[0] - centre, centre - of_range[1])
    return outside > _FARTHEST * prior.deviation


def usual_numbers(prior: Prior, domain: Domain, shift: float = 0.0) -> tuple[float, float]:
    """The numbers one deviation below and above the moved centre, in one digit, and within a range of numbers."""
    numbers = [number for value in bounds(domain) if (number := number_of(value)) is not None]
    centre = position(prior.scale, prior.centre) + shift
    low, high = (value_at_position(prior.scale, centre + by * prior.deviation) for by in (-1, 1))
    if prior.scale == "below_one":
        low, high = (1.0 - float(f"{1.0 - number:.1g}") for number in (low, high))
    else:
        low, high = (float(f"{number:.1g}") for number in (low, high))
    low, high = (min(max(number, numbers[0]), numbers[-1]) for number in (low, high))
    return low, high


def usual_options(prior: Prior, domain: Categorical, shift: float = 0.0) -> tuple[Scalar, ...]:
    """The options of a choice with the largest weight, or the numbers within a deviation of the moved centre."""
    if prior.weights:
        pairs = zip(domain.options, prior.weights, strict=True)
        return tuple(option for option, weight in pairs if weight == max(prior.weights))
    centre = position(prior.scale, prior.centre) + shift
    numbers = [option for option in domain.options if number_of(option) is not None]
    away = {
        option: abs(option_position(prior, option, shift) - centre) / prior.deviation for option in numbers
    }
    least = min(away.values())
    return tuple(option for option in numbers if away[option] <= max(1.0, least))


def record_of(priors: Mapping[str, Prior]) -> dict[str, Any]:
    """The priors as plain maps and lists for a study's record, by the keys of their parameters.

    A study keeps the priors with which it began, so that its suggestions stay the same if a later version has others.
    """
    return {key: asdict(prior) for key, prior in priors.items()}


def priors_in(record: Mapping[str, Any]) -> dict[str, Prior]:
    """The priors of a record.

    Raises:
        ValueError: the record is not that of priors.
    """
    priors: dict[str, Prior] = _reader().validate_python(dict(record)) if record else {}
    return priors


@lru_cache(maxsize=1)
def _reader() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(dict[str, Prior])
