"""The priors of a space's parameters over units: their density, draws from them, and their mode.

`tunecli.config.priors` says where good values usually lie, on the scale of each setting and not on that of the user's
range. Here each prior is placed on its range: its centre moves into the range, and no value outside is ever drawn. Each
is tabulated once for a space. A shift by another parameter, such as that of a learning rate by the batch size, is
computed for each point.

*Units*: as in `encoding`, NaN for an inactive parameter.

Axes: M points, D parameters of the space, G entries of a table, ascending in the unit except for choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from tunecli.config.domains import Categorical, Domain, bounds, n_values, unit_of_value, value_at
from tunecli.config.priors.prior import (
    FLOOR,
    Prior,
    Scale,
    Shift,
    option_position,
    position,
    shift_at,
    value_at_position,
)
from tunecli.config.priors.table import RATE, split_optimizer
from tunecli.config.space import Parameter, Space, default_point, units_of_point
from tunecli.search.bo.encoding import Floats
from tunecli.trial import Scalar

_MAX_VALUES = 64  # a range with more values is drawn from as if it were continuous
_N_ENTRIES = 257
_REACH_DEVIATIONS = 4.0  # where a logarithmic scale of a range from 0 begins, below the centre
_STANDARD = NormalDist()


@dataclass(frozen=True, slots=True)
class _RangePrior:
    """The prior of one parameter on its range.

    Attributes:
        index: the parameter's place in the space.
        units_G, positions_G: units, and their positions on the prior's scale.
        log_weights_G: of a choice of names, the logarithm of each weight; None: the prior is normal.
        centre, deviation: on the prior's scale.
        widths_G: the part of the scale that belongs to each value of a finite range; None: the range is continuous.
        shifts: the other parameters that move the centre: index, units and the shift at each.
    """

    index: int
    units_G: Floats
    positions_G: Floats
    log_weights_G: Floats | None
    centre: float
    deviation: float
    widths_G: Floats | None
    shifts: tuple[tuple[int, Floats, Floats], ...]

    def centres(self, units_MD: Floats) -> Floats:
        """Return the centre for each point, inside the range, (M,)."""
        centre_M = np.full(len(units_MD), self.centre)
        for index, units_G, shifts_G in self.shifts:
            centre_M += np.nan_to_num(np.interp(units_MD[:, index], units_G, shifts_G))
        inside_M: Floats = np.clip(centre_M, self.positions_G.min(), self.positions_G.max())
        return inside_M

    def log_density(self, units_MD: Floats) -> Floats:
        """Return the logarithm of the density over its largest value, (M,); 0 where the parameter is inactive."""
        units_M = units_MD[:, self.index]
        if self.log_weights_G is not None:
            log_weights_M: Floats = np.nan_to_num(np.interp(units_M, self.units_G, self.log_weights_G))
            return log_weights_M
        z_M = (np.interp(units_M, self.units_G, self.positions_G) - self.centres(units_MD)) / self.deviation
        log_density_M: Floats = np.nan_to_num(np.log((1.0 - FLOOR) * np.exp(-0.5 * np.square(z_M)) + FLOOR))
        return log_density_M

    def drawn(self, units_D: Floats, share: float) -> float:
        """Return the unit below which the prior has ``share`` of its mass, at the other units of a point."""
        centre = float(self.centres(units_D[None, :])[0])
        if self.widths_G is not None:
            masses_G = self._masses(centre)
            rank = int(np.searchsorted(np.cumsum(masses_G) / masses_G.sum(), share, side="right"))
            return float(self.units_G[min(rank, len(self.units_G) - 1)])
        low, high = (
            _STANDARD.cdf((at - centre) / self.deviation)
            for at in (self.positions_G[0], self.positions_G[-1])
        )
        at = centre + self.deviation * _STANDARD.inv_cdf(
            min(max(low + share * (high - low), 1e-12), 1 - 1e-12)
        )
        return float(np.interp(at, self.positions_G, self.units_G))

    def mode(self, units_D: Floats) -> float:
        """Return the unit with the highest density, at the other units of a point; of several the first."""
        centre = float(self.centres(units_D[None, :])[0])
        if self.widths_G is not None:
            return float(self.units_G[int(np.argmax(self._masses(centre) / self.widths_G))])
        return float(np.interp(centre, self.positions_G, self.units_G))

    def _masses(self, centre: float) -> Floats:
        assert self.widths_G is not None
        if self.log_weights_G is not None:
            return np.exp(self.log_weights_G)
        return self.widths_G * np.exp(-0.5 * np.square((self.positions_G - centre) / self.deviation))


def log_density(space: Space, units_MD: Floats) -> Floats:
    """Return the logarithm of the priors' joint density over its largest value, (M,)."""
    total_M = np.zeros(len(units_MD))
    for prior in _range_priors(space):
        total_M += prior.log_density(units_MD)
    return total_M


def drawn_units(space: Space, uniform_D: Sequence[float]) -> list[float]:
    """Return the units of a draw from the priors, from independent uniform numbers; those without a prior stay."""
    units_D = np.array(uniform_D, dtype=np.float64)
    for prior in _range_priors(space):
        units_D[prior.index] = prior.drawn(units_D, uniform_D[prior.index])
    return [float(unit) for unit in units_D]


def _is_rate(parameter: Parameter) -> bool:
    """Return whether a parameter is known as a learning rate."""
    return parameter.prior is not None and split_optimizer(parameter.prior.knob)[1] == RATE


def with_moved_rate(space: Space, units_D: Sequence[float | None], by: float) -> list[float | None] | None:
    """Return the units of a point with another learning rate; None if it has none with a prior, or the range ends.

    Args:
        space: the space, with its priors.
        units_D: the units of the point; None for an inactive parameter.
        by: how far the rate moves, in deviations of its prior. At the end of the range it moves less, at least half.
    """
    for prior in _range_priors(space):
        unit = units_D[prior.index]
        if unit is None or not _is_rate(space.parameters[prior.index]):
            continue
        at = float(np.interp(unit, prior.units_G, prior.positions_G))
        moved_at = min(max(at + by * prior.deviation, prior.positions_G[0]), prior.positions_G[-1])
        if abs(moved_at - at) < 0.5 * abs(by) * prior.deviation:
            return None
        moved_D = list(units_D)
        moved_D[prior.index] = float(np.interp(moved_at, prior.positions_G, prior.units_G))
        return moved_D
    return None


def mode_units(space: Space) -> list[float]:
    """Return the most likely point: the defaults of the file, the mode of each prior, and the middle of anything else.

    A choice without a default keeps the branch that contains one, as in the point of the defaults.
    """
    units_D = np.full(len(space.parameters), 0.5)
    kept: set[int] = set()
    if (default := default_point(space)) is not None:
        of_default = units_of_point(space, default)
        units_D = np.array([0.5 if unit is None else unit for unit in of_default])
        above = {
            condition.key
            for one in space.parameters
            if one.default is not None
            for condition in one.conditions
        }
        kept = {index for index, one in enumerate(space.parameters) if one.key in above}
    for prior in _range_priors(space):
        if prior.index not in kept:
            units_D[prior.index] = prior.mode(units_D)
    return [float(unit) for unit in units_D]


def _range_priors(space: Space) -> tuple[_RangePrior, ...]:
    """Return every prior of the space, those that others shift last."""
    priors: tuple[_RangePrior, ...] | None = space.memo.get("knob priors")
    if priors is None:
        every = (
            _range_prior(space, index, parameter.prior)
            for index, parameter in enumerate(space.parameters)
            if parameter.prior is not None
        )
        priors = space.memo["knob priors"] = tuple(sorted(every, key=lambda one: bool(one.shifts)))
    return priors


def _range_prior(space: Space, index: int, prior: Prior) -> _RangePrior:
    domain, centre = space.parameters[index].domain, position(prior.scale, prior.centre)
    indices = {parameter.key: place for place, parameter in enumerate(space.parameters)}
    shifts = tuple(
        (indices[shift.key], *_shift_table(space.parameters[indices[shift.key]].domain, shift))
        for shift in prior.shifts
        if shift.key in indices
    )
    if prior.weights and isinstance(domain, Categorical):
        log_weights_G = np.log(np.array(prior.weights) / max(prior.weights))
        nothing_G = np.zeros(len(log_weights_G))
        units_G = _units(domain, domain.options)
        return _RangePrior(index, units_G, nothing_G, log_weights_G, 0.0, 1.0, nothing_G + 1.0, shifts)
    values = _values(domain, prior.scale, centre - _REACH_DEVIATIONS * prior.deviation)
    positions_G = np.array([option_position(prior, value) for value in values])
    widths_G = None
    if isinstance(domain, Categorical):
        widths_G = np.ones(len(positions_G))
    elif (count := n_values(domain)) is not None and count <= _MAX_VALUES:
        widths_G = np.gradient(positions_G)
    return _RangePrior(
        index, _units(domain, values), positions_G, None, centre, prior.deviation, widths_G, shifts
    )


def _shift_table(domain: Domain, shift: Shift) -> tuple[Floats, Floats]:
    """Return units of the other parameter, and the shift at each; an option has one shift in all of its share."""
    values = _values(domain, shift.scale, -math.inf)
    shifts_G = np.array([shift_at(shift, value) for value in values])
    if not isinstance(domain, Categorical):
        return _units(domain, values), shifts_G
    edges = np.array(domain.edges()) if domain.weights else np.linspace(0.0, 1.0, len(values) + 1)
    return np.stack([edges[:-1], np.nextafter(edges[1:], 0.0)], axis=1).ravel(), np.repeat(shifts_G, 2)


def _values(domain: Domain, scale: Scale, least: float) -> Sequence[Scalar]:
    """Return values of a domain: all of a small one, else equally distant ones on a scale, from ``least`` on."""
    count = n_values(domain)
    if count is not None and (count <= _N_ENTRIES or isinstance(domain, Categorical)):
        return [value_at(domain, place) for place in range(count)]
    low, high = (position(scale, float(value)) for value in bounds(domain))  # type: ignore[arg-type]  # numbers
    numbers = [
        value_at_position(scale, float(at))
        for at in np.linspace(max(low, min(least, high)), high, _N_ENTRIES)
    ]
    return [round(number) for number in numbers] if count is not None else numbers


def _units(domain: Domain, values: Sequence[Scalar]) -> Floats:
    return np.array([unit_of_value(domain, value) for value in values])
