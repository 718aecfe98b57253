"""A point of a mixed, conditional space as a row of numbers that a model can measure distances in.

A numeric parameter is one column, its *place* in the range; a categorical one a column for each option, two of which
are 1 apart. A place is the unit, except in a range whose ends are positive and far apart and which is yet not drawn by
its logarithm: there it is the share of the logarithm. What such a number does (a weight decay from 1e-5 to 0.1) goes by
ratios, and by units all that happens below a hundredth of its range would be one point to a model.
A numeric parameter that is not always active lies on an arc of radius 1 and at its centre where it is not: so it
stands 1, its whole range, from every value it would have, and no value looks nearer to "not there" than another
(Swersky, Duvenaud, Snoek, Hutter, Osborne (2013), "Raiders of the Lost Architecture: Kernels for Bayesian
Optimization in Conditional Parameter Spaces").
Candidates are first *settled* on real points of the space, so the acquisition is judged where the trial
would be run (Garrido-Merchán, Hernández-Lobato (2020), "Dealing with categorical and integer-valued variables
in Bayesian optimization with Gaussian processes"). Pure; knows no model.

Axes: N points, D parameters of the space, F columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.config.domains import (
    LAST_UNIT,
    Categorical,
    Domain,
    is_plain_over_magnitudes,
    n_values,
    unit_of_value,
    value_at,
)
from tunecli.config.expressions import is_among
from tunecli.config.space import Parameter, Space, units_of_point
from tunecli.trial import Parameters

Floats = NDArray[np.float64]

_MAX_CENTRES = 256  # a range of more values than this is as good as continuous
_OPTION = math.sqrt(0.5)  # two options are then 1 apart


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One parameter: the units of its values where they are few, and when it is active.

    ``ratio`` is that of the ends where places go by magnitude, else None. ``conditions`` pairs a parent's index among
    the parameters with the parent's positions that are allowed.
    """

    centres: Floats | None
    is_categorical: bool
    ratio: float | None
    conditions: tuple[tuple[int, NDArray[np.bool_]], ...]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the points of one space become rows.

    ``groups`` says of each column which parameter it is part of; those that vary are counted from 0.
    """

    dimensions: tuple[_Dimension, ...]
    groups: NDArray[np.intp]


def encoding_of(space: Space) -> Encoding:
    """The encoding of ``space``."""
    indices = {parameter.key: index for index, parameter in enumerate(space.parameters)}
    dimensions = tuple(_dimension(space, parameter, indices) for parameter in space.parameters)
    widths = [width for dimension in dimensions if (width := _n_columns(dimension))]
    return Encoding(dimensions, np.repeat(np.arange(len(widths)), widths))


def units_of_points(space: Space, points: Iterable[Parameters]) -> Floats:
    """The units of ``points``, shape (N, D); NaN where a parameter is not active."""
    rows = [units_of_point(space, point) for point in points]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(space.parameters))


def settled(encoding: Encoding, units_ND: Floats) -> Floats:
    """The real points of the space next to ``units_ND``: units of values, NaN where not active.

    ``point_of_units`` turns a settled row into the point whose units it holds.
    """
    settled_ND = units_ND.copy()
    is_active_ND = np.ones(units_ND.shape, dtype=bool)
    positions: dict[int, NDArray[np.intp]] = {}
    for index, dimension in enumerate(encoding.dimensions):
        if dimension.centres is not None:
            positions[index] = _positions(dimension.centres, units_ND[:, index])
            settled_ND[:, index] = dimension.centres[positions[index]]
        for parent, is_allowed in dimension.conditions:
            is_active_ND[:, index] &= is_active_ND[:, parent] & is_allowed[positions[parent]]
    settled_ND[~is_active_ND] = np.nan
    return settled_ND


def features(encoding: Encoding, units_ND: Floats) -> Floats:
    """The rows of the points at ``units_ND`` (NaN where not active), shape (N, F), in [0, 1].

    A parameter of a single value has no column.
    """
    columns: list[Floats] = [np.zeros((len(units_ND), 0))]
    places_ND = places_of_units(encoding, units_ND)
    for index, dimension in enumerate(encoding.dimensions):
        units_N = units_ND[:, index]
        is_active_N = ~np.isnan(units_N)
        if not _n_columns(dimension):
            continue
        if dimension.is_categorical and dimension.centres is not None:
            options = np.arange(len(dimension.centres))
            is_option_NK = _positions(dimension.centres, units_N)[:, None] == options
            columns.append(np.where(is_option_NK & is_active_N[:, None], _OPTION, 0.0))
        elif dimension.conditions:
            arc_N2 = np.stack([np.cos(places_ND[:, index]), np.sin(places_ND[:, index])], axis=1)
            columns.append(np.where(is_active_N[:, None], arc_N2, 0.0))
        else:
            columns.append(places_ND[:, [index]])
    return np.hstack(columns)


def places_of_units(encoding: Encoding, units_ND: Floats) -> Floats:
    """Where in their ranges the model sees the points at ``units_ND``, in [0, 1]; NaN where not active."""
    places_ND = units_ND.copy()
    for index, dimension in enumerate(encoding.dimensions):
        if dimension.ratio is not None:
            by_low_N = 1.0 + (dimension.ratio - 1.0) * units_ND[:, index]
            places_ND[:, index] = np.log(by_low_N) / math.log(dimension.ratio)
    return places_ND


def units_of_places(encoding: Encoding, places_ND: Floats) -> Floats:
    """The way back from :func:`places_of_units`, for places in [0, 1)."""
    units_ND = places_ND.copy()
    for index, dimension in enumerate(encoding.dimensions):
        if dimension.ratio is not None:
            by_low_N = np.exp(places_ND[:, index] * math.log(dimension.ratio))
            units_ND[:, index] = np.clip((by_low_N - 1.0) / (dimension.ratio - 1.0), 0.0, LAST_UNIT)
    return units_ND


def _n_columns(dimension: _Dimension) -> int:
    if dimension.centres is not None and len(dimension.centres) == 1:
        return 0
    if dimension.is_categorical and dimension.centres is not None:
        return len(dimension.centres)
    return 2 if dimension.conditions else 1


def _dimension(space: Space, parameter: Parameter, indices: dict[str, int]) -> _Dimension:
    domain = parameter.domain
    is_categorical = isinstance(domain, Categorical)
    count = n_values(domain)
    centres = None
    if count is not None and (is_categorical or count <= _MAX_CENTRES):
        centres = np.array([unit_of_value(domain, value_at(domain, i)) for i in range(count)])
    conditions = []
    for condition in parameter.conditions:
        parent = indices[condition.key]
        parent_domain = space.parameters[parent].domain
        options = (value_at(parent_domain, i) for i in range(n_values(parent_domain) or 0))
        is_allowed = np.array([is_among(option, condition.values) for option in options])
        conditions.append((parent, is_allowed))
    return _Dimension(centres, is_categorical, _ratio(domain), tuple(conditions))


def _ratio(domain: Domain) -> float | None:
    """How many times its start the end of the unit interval stands for, in a range that is seen by magnitude."""
    if not is_plain_over_magnitudes(domain):
        return None
    # each of few values owns the part of the interval around it
    margin = 0.5 * domain.step if domain.step is not None and domain.low > 0.5 * domain.step else 0.0
    return (domain.high + margin) / (domain.low - margin)


def _positions(centres: Floats, units_N: Floats) -> NDArray[np.intp]:
    """The place of the nearest centre; any place where the unit is NaN."""
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, units_N, side="right")
