"""The options of a choice: which trials had one, which parameters it adds, and a model of its own trials' losses.

*Units*: those of `encoding`.

Axes: M candidates, T trials, N training trials, D parameters, F columns of the encoding, K values of a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo.acquisition import log_expected_improvement
from tunecli.search.bo.encoding import Encoding, Floats, columns_of
from tunecli.search.bo.gaussian_process import GaussianProcess, fit_gp
from tunecli.search.bo.outcome_transforms import warping
from tunecli.search.bo.posterior import TrialData

_N_PRIOR = 2  # trials with the deviation of all losses


@dataclass(frozen=True)
class Option:
    """One option of a choice, and its evidence.

    Attributes:
        parameter: the index of the choice among the parameters of the space.
        place: the position of the option, from 0.
        column: its column of the encoding; above 0 if a point has the option.
        is_own_T: which of the tried trials had this option.
        n_looks: how many of them count as looks at it.
        n_of_choice: in how many trials the choice was active.
        n_options: how many options the choice has.
        has_own: whether parameters exist only because of it.
    """

    parameter: int
    place: int
    column: int
    is_own_T: NDArray[np.bool_]
    n_looks: int
    n_of_choice: int
    n_options: int
    has_own: bool


def options_of(data: TrialData, n_initial: int = 0) -> Iterator[Option]:
    """Yield the options of every choice without an order, in the order of the space.

    At an option with parameters of its own, only trials that the model chose are looks: those of the initial design are
    spread over all parameters at once, and hardly test the option.

    Args:
        data: the trials so far.
        n_initial: number of trials that no model chose.
    """
    is_modelled_T = data.numbers_T >= n_initial
    for parameter, columns in columns_of(data.encoding).items():
        if not data.encoding.dimensions[parameter].is_categorical:
            continue
        is_option_TK = data.tried_TF[:, columns] > 0
        n_of_choice, n_options = int(is_option_TK.sum()), is_option_TK.shape[1]
        for place in range(n_options):
            column = columns.start + place
            is_own_T = is_option_TK[:, place]
            option = Option(parameter, place, column, is_own_T, 0, n_of_choice, n_options, has_own=False)
            has_own = bool(own_parameters(data.encoding, option).any())
            n_looks = int((is_own_T & is_modelled_T if has_own else is_own_T).sum())
            yield replace(option, n_looks=n_looks, has_own=has_own)


def own_parameters(encoding: Encoding, option: Option) -> NDArray[np.bool_]:
    """Return which parameters exist only because of the option, or of a choice within it, (D,)."""
    is_own_D = np.zeros(len(encoding.dimensions), dtype=bool)
    for index, dimension in enumerate(encoding.dimensions):
        is_own_D[index] = any(
            is_own_D[parent] or (parent == option.parameter and is_allowed_K[option.place])
            for parent, is_allowed_K in dimension.conditions
        )
    return is_own_D


def pinned(encoding: Encoding, parameter: int, places: tuple[int, ...]) -> Encoding:
    """Return the encoding whose snapped points have one of the values ``places`` of a parameter, and are active there.

    Only :func:`tunecli.search.bo.encoding.snap` and the drawing of candidates may use it: its rows have other columns.

    Args:
        encoding: of the space.
        parameter: the index of a parameter with a list of values.
        places: positions of the values, ascending; at least one.
    """
    dimension = encoding.dimensions[parameter]
    if dimension.units_K is None:
        raise ValueError("a pinned parameter has a list of values")
    kept_K = np.array(places)
    units_K = dimension.units_K[kept_K]
    dimensions = list(encoding.dimensions)
    dimensions[parameter] = replace(
        dimension,
        units_K=units_K,
        edges_J=(units_K[1:] + units_K[:-1]) / 2,
        order_K=None if dimension.order_K is None else np.argsort(np.argsort(dimension.order_K[kept_K])),
    )
    for index, child in enumerate(dimensions):
        conditions = tuple(
            (parent, is_allowed_K[kept_K] if parent == parameter else is_allowed_K)
            for parent, is_allowed_K in child.conditions
        )
        dimensions[index] = replace(child, conditions=conditions)
    narrowed = Encoding(tuple(dimensions), encoding.groups_F)
    for parent, is_allowed_K in narrowed.dimensions[parameter].conditions:
        allowed = np.flatnonzero(is_allowed_K)
        if len(allowed) < len(is_allowed_K):
            narrowed = pinned(narrowed, parent, tuple(allowed.tolist()))
    return narrowed


@dataclass(frozen=True)
class OwnModel:
    """A Gaussian process of an option's own trials, on the scale of their own losses.

    On the scale of all losses, the trials of an option that is far behind are all alike: they are above the outlier cap
    as soon as the search repeats the best trial often. A model of them would expect no improvement anywhere.

    Attributes:
        process: of (loss - ``mean``) / ``deviation``.
        mean, deviation: of the own losses without outliers; the deviation is drawn towards that of all losses.
    """

    process: GaussianProcess
    mean: float
    deviation: float

    def log_improvement(self, rows_MF: Floats, loss: float) -> Floats:
        """Return the log of the expected improvement on ``loss``, in the unit of the losses, (M,)."""
        incumbent_1 = np.array([(loss - self.mean) / self.deviation])
        log_M = log_expected_improvement(*self.process.predict(rows_MF), incumbent_1)
        scores_M: Floats = log_M + np.log(self.deviation)
        return scores_M


def own_model(data: TrialData, option: Option) -> OwnModel | None:
    """Return the model of the option's own trials; None before one of them has a loss."""
    is_own_N = option.is_own_T[: len(data.rows_NF)]
    if not is_own_N.any():
        return None
    losses_N = _without_outliers(data.losses_N[is_own_N])
    variance = float(_without_outliers(data.losses_N).var()) or 1.0
    n_own = len(losses_N)
    deviation = float(np.sqrt((n_own * losses_N.var() + _N_PRIOR * variance) / (n_own + _N_PRIOR)))
    mean = float(losses_N.mean())
    process = fit_gp(
        data.rows_NF[is_own_N],
        (losses_N - mean) / deviation,
        data.encoding.groups_F,
        1,
        np.random.default_rng(0),  # one kernel draws nothing
        is_conservative=True,
    )
    return OwnModel(process, mean, deviation)


def _without_outliers(losses_N: Floats) -> Floats:
    capped_N: Floats = np.minimum(losses_N, warping(losses_N).outlier_cap)
    return capped_N
