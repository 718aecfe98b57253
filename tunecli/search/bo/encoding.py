"""Encode the points of a mixed, conditional space as rows of numbers between which a surrogate measures distances.

- A numeric parameter is one column, its *coordinate*: the unit, or the position on a logarithmic axis if the range is
  positive, spans magnitudes and is not drawn by its logarithm. A weight decay from 1e-5 to 0.1 acts by ratios; in units
  everything below a hundredth of its range would be one point to a model.
- A categorical parameter is one column for each option (one-hot). Two different options are at distance 1. Weights of
  options are the shares of the unit interval from which candidates are drawn, and no more.
- A choice among numbers that the file calls ordered is one column like a number: the rank of the option.
- A numeric parameter that is not always active is two columns: a point on an arc of radius 1, and the arc's centre if
  the parameter is inactive. So every value is at distance 1 from "inactive" (Swersky, Duvenaud, Snoek, Hutter, Osborne
  (2013), "Raiders of the Lost Architecture: Kernels for Bayesian Optimization in Conditional Parameter Spaces").

Candidates are first snapped to real points of the space, so that the acquisition is evaluated at the point that is run
(Garrido-Merchán, Hernández-Lobato (2020), "Dealing with categorical and integer-valued variables in Bayesian
optimization with Gaussian processes"). Pure functions; this module does not know any model.

*Units*: the unit cube [0, 1)^D of :func:`tunecli.config.space.point_of_units`, NaN for an inactive parameter.

Axes: N points, D parameters of the space, F columns, K values of a parameter.
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
    Normal,
    is_plain_over_magnitudes,
    likely_values,
    n_values,
    unit_of_value,
    value_at,
)
from tunecli.config.expressions import is_among
from tunecli.config.space import Parameter, Space, units_of_point
from tunecli.trial import Parameters

Floats = NDArray[np.float64]

_MAX_VALUES = 256  # a range with more values is treated as continuous
_ONE_HOT = math.sqrt(0.5)  # puts two options at distance 1


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter.

    Attributes:
        units_K: the unit of each value, ascending; None if the range is continuous or has more than 256 values.
        edges_J: where the share of one value ends and that of the next begins, (K - 1,); None like ``units_K``.
        is_categorical: whether the values have no order.
        order_K: the ranks of the options of an ordered choice, from 0; None for other parameters.
        ratio: upper end divided by lower end if the coordinate is logarithmic, else None.
        conditions: for each condition the index of the parent parameter, and which of its values (K,) allow this one.
    """

    units_K: Floats | None
    edges_J: Floats | None
    is_categorical: bool
    ratio: float | None
    conditions: tuple[tuple[int, NDArray[np.bool_]], ...]
    order_K: NDArray[np.intp] | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the points of one space become rows.

    Attributes:
        dimensions: the parameters of the space, in its order.
        groups_F: the parameter that each column belongs to. Parameters that vary are counted from 0.
    """

    dimensions: tuple[Dimension, ...]
    groups_F: NDArray[np.intp]


def encoding_of(space: Space) -> Encoding:
    """Return the encoding of ``space``."""
    indices = {parameter.key: index for index, parameter in enumerate(space.parameters)}
    dimensions = tuple(_dimension(space, parameter, indices) for parameter in space.parameters)
    widths = [width for dimension in dimensions if (width := _n_columns(dimension))]
    return Encoding(dimensions, np.repeat(np.arange(len(widths)), widths))


def columns_of(encoding: Encoding) -> dict[int, slice]:
    """Return the columns of each parameter that has any, by its index in the space."""
    widths = [_n_columns(dimension) for dimension in encoding.dimensions]
    ends = np.cumsum(widths).tolist()
    return {
        index: slice(end - width, end)
        for index, (width, end) in enumerate(zip(widths, ends, strict=True))
        if width
    }


def option_columns(encoding: Encoding) -> tuple[slice, ...]:
    """Return the columns of each choice without an order: one column an option, above 0 if a point has it."""
    columns = columns_of(encoding)
    return tuple(columns[index] for index in columns if encoding.dimensions[index].is_categorical)


def units_of_points(space: Space, points: Iterable[Parameters]) -> Floats:
    """Return the units of ``points``, (N, D); NaN for an inactive parameter."""
    rows = [units_of_point(space, point) for point in points]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(space.parameters))


def snap(encoding: Encoding, units_ND: Floats) -> Floats:
    """Return the units of the nearest real points of the space, (N, D); NaN for an inactive parameter.

    ``point_of_units`` turns a snapped row into the point with exactly these units.
    """
    snapped_ND = units_ND.copy()
    is_active_ND = np.ones(units_ND.shape, dtype=bool)
    nearest_by_index: dict[int, NDArray[np.intp]] = {}
    for index, dimension in enumerate(encoding.dimensions):
        if dimension.units_K is not None and dimension.edges_J is not None:
            nearest_by_index[index] = _nearest(dimension.edges_J, units_ND[:, index])
            snapped_ND[:, index] = dimension.units_K[nearest_by_index[index]]
        for parent, is_allowed_K in dimension.conditions:
            is_active_ND[:, index] &= is_active_ND[:, parent] & is_allowed_K[nearest_by_index[parent]]
    snapped_ND[~is_active_ND] = np.nan
    return snapped_ND


def features(encoding: Encoding, units_ND: Floats) -> Floats:
    """Return the rows of the points at ``units_ND`` (NaN for an inactive parameter), (N, F), in [0, 1].

    A parameter with a single value has no column.
    """
    columns: list[Floats] = [np.zeros((len(units_ND), 0))]
    coordinates_ND = coordinates_of_units(encoding, units_ND)
    for index, dimension in enumerate(encoding.dimensions):
        units_N = units_ND[:, index]
        is_active_N = ~np.isnan(units_N)
        if not _n_columns(dimension):
            continue
        if dimension.is_categorical and dimension.units_K is not None and dimension.edges_J is not None:
            options_K = np.arange(len(dimension.units_K))
            is_option_NK = _nearest(dimension.edges_J, units_N)[:, None] == options_K
            columns.append(np.where(is_option_NK & is_active_N[:, None], _ONE_HOT, 0.0))
        elif dimension.conditions:
            arc_N2 = np.stack([np.cos(coordinates_ND[:, index]), np.sin(coordinates_ND[:, index])], axis=1)
            columns.append(np.where(is_active_N[:, None], arc_N2, 0.0))
        else:
            columns.append(coordinates_ND[:, [index]])
    return np.hstack(columns)


def coordinates_of_units(encoding: Encoding, units_ND: Floats) -> Floats:
    """Return the model's coordinates of the points at ``units_ND``, (N, D), in [0, 1]; NaN for inactive parameters.

    A coordinate is log(value / low) / log(high / low) on a logarithmic axis, and the unit itself on any other. That of
    an ordered choice is the rank of the option.
    """
    coordinates_ND = units_ND.copy()
    for index, dimension in enumerate(encoding.dimensions):
        if dimension.order_K is not None and dimension.edges_J is not None:
            ranks_N = dimension.order_K[_nearest(dimension.edges_J, units_ND[:, index])]
            coordinates_N = (ranks_N + 0.5) / len(dimension.order_K)
            coordinates_ND[:, index] = np.where(np.isnan(units_ND[:, index]), np.nan, coordinates_N)
        if dimension.ratio is not None:
            by_low_N = 1.0 + (dimension.ratio - 1.0) * units_ND[:, index]
            coordinates_ND[:, index] = np.log(by_low_N) / math.log(dimension.ratio)
    return coordinates_ND


def units_of_coordinates(encoding: Encoding, coordinates_ND: Floats) -> Floats:
    """Return the inverse of :func:`coordinates_of_units` for coordinates in [0, 1), (N, D)."""
    units_ND = coordinates_ND.copy()
    for index, dimension in enumerate(encoding.dimensions):
        if dimension.order_K is not None and dimension.units_K is not None:
            n_options = len(dimension.order_K)
            ranks_N = np.clip(coordinates_ND[:, index] * n_options, 0, n_options - 1).astype(np.intp)
            units_ND[:, index] = dimension.units_K[np.argsort(dimension.order_K)][ranks_N]
        if dimension.ratio is not None:
            by_low_N = np.exp(coordinates_ND[:, index] * math.log(dimension.ratio))
            units_ND[:, index] = np.clip((by_low_N - 1.0) / (dimension.ratio - 1.0), 0.0, LAST_UNIT)
    return units_ND


def _n_columns(dimension: Dimension) -> int:
    if dimension.units_K is not None and len(dimension.units_K) == 1:
        return 0
    if dimension.is_categorical and dimension.units_K is not None:
        return len(dimension.units_K)
    return 2 if dimension.conditions else 1


def _dimension(space: Space, parameter: Parameter, indices: dict[str, int]) -> Dimension:
    domain = parameter.domain
    is_option = isinstance(domain, Categorical)
    count = n_values(domain)
    units_K = None
    if count is not None and (is_option or count <= _MAX_VALUES):
        units_K = np.array([unit_of_value(domain, value_at(domain, i)) for i in range(count)])
    elif isinstance(domain, Normal) and 0 < len(values := likely_values(domain)) <= _MAX_VALUES:
        units_K = np.array([unit_of_value(domain, value) for value in values])
    edges_J = None if units_K is None else (units_K[1:] + units_K[:-1]) / 2
    if isinstance(domain, Categorical) and domain.weights:
        edges_J = np.array(domain.edges()[1:-1])
    conditions = []
    for condition in parameter.conditions:
        parent = indices[condition.key]
        parent_domain = space.parameters[parent].domain
        options = (value_at(parent_domain, i) for i in range(n_values(parent_domain) or 0))
        is_allowed_K = np.array([is_among(option, condition.values) for option in options])
        conditions.append((parent, is_allowed_K))
    order_K = None
    if isinstance(domain, Categorical) and _is_ordered(domain, space):
        order_K = np.argsort(np.argsort([float(option) for option in domain.options]))  # type: ignore[arg-type]
    is_categorical = is_option and order_K is None
    return Dimension(units_K, edges_J, is_categorical, magnitude_ratio(domain), tuple(conditions), order_K)


def _is_ordered(domain: Categorical, space: Space) -> bool:
    return space.orders_numbers if domain.is_ordered is None else domain.is_ordered


def magnitude_ratio(domain: Domain) -> float | None:
    """Return the value at unit 1 divided by the value at unit 0 if the coordinate is logarithmic, else None."""
    if not is_plain_over_magnitudes(domain):
        return None
    # Each value of a stepped range owns the part of the unit interval around it.
    margin = 0.5 * domain.step if domain.step is not None and domain.low > 0.5 * domain.step else 0.0
    return (domain.high + margin) / (domain.low - margin)


def _nearest(edges_J: Floats, units_N: Floats) -> NDArray[np.intp]:
    """Return the index of the value whose share each unit is in, (N,); any index for a NaN."""
    return np.searchsorted(edges_J, units_N, side="right")
