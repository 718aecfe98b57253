"""A look at an option of a choice: the points that a trial may try, and which of them it tries.

The first look, and every third one, spreads the option's own parameters over their ranges and takes the others from the
best trial. The rest improve the option's own best trial: the best trial of all is no measure within an option that is
still far behind it. Their candidates are near it, since a model that knows little of an option expects most in the
corners.

*Units*: those of `encoding`.

Axes: M candidates, T trials, N training trials, D parameters, F columns of the encoding, W feasible trials of
the option.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.config.domains import LAST_UNIT
from tunecli.search.bo.acquisition_optimizer import IsFeasible, is_repeat
from tunecli.search.bo.encoding import (
    Encoding,
    Floats,
    columns_of,
    coordinates_of_units,
    features,
    snap,
    units_of_coordinates,
)
from tunecli.search.bo.feasibility import LOG_HALF, is_feasible
from tunecli.search.bo.options import Option, own_model, own_parameters, pinned
from tunecli.search.bo.posterior import Posterior, TrialData
from tunecli.search.draws import sobol_units
from tunecli.seeding import generator_for

N_SAMPLED = 128
"""Points of an option that are drawn to judge it."""
FAR = 0.15
"""Distance to a trial from which on a point shows something new: root mean square over columns."""

_SPREAD_EVERY = 3  # looks
_N_SPREAD = 32  # a power of two, for Sobol
_MARGIN = 0.05  # a spread point is not nearer to the ends of a range
_N_PARENTS, _N_NEAR = 1, 255
_RADII = (0.03, 0.06)  # in coordinates


@dataclass(frozen=True)
class OwedLook:
    """The look that a trial owes to an option.

    Attributes:
        option: the option.
        candidates_MD: the units of the points to choose from, at least one; each has the option and was not tried.
        is_spread: whether the first point is the best one, as long as it does not fail. Otherwise the one that most
            improves the option's own best trial.
    """

    option: Option
    candidates_MD: Floats
    is_spread: bool

    def ranked(self, posterior: Posterior, data: TrialData) -> Floats:
        """Return the candidates, the best first, (M, D)."""
        rows_MF = features(data.encoding, self.candidates_MD)
        log_M = posterior.log_feasible(rows_MF)
        own_losses_W = data.losses_N[
            self.option.is_own_T[: len(data.rows_NF)] & is_feasible(data.violations_NC)
        ]
        model = None if self.is_spread or not len(own_losses_W) else own_model(data, self.option)
        if model is None:
            scores_M = np.minimum(log_M, LOG_HALF)  # all likely feasible points are alike
        else:
            scores_M = model.log_improvement(rows_MF, float(own_losses_W.min())) + log_M
        ranked_MD: Floats = self.candidates_MD[np.argsort(-scores_M, kind="stable")]
        return ranked_MD


def look_at(
    data: TrialData,
    option: Option,
    seed: int,
    generator: np.random.Generator,
    is_feasible_point: IsFeasible | None,
    *,
    is_near: bool = False,
) -> OwedLook | None:
    """Return a look at the option; None if none of its sampled points is feasible and new.

    Args:
        data: the trials so far.
        option: the option.
        seed: the study's seed; it names the sequence of the spread points.
        generator: draws the other points.
        is_feasible_point: the feasible ones of snapped points; None: all are.
        is_near: whether the point is near the option's best trials in any case.
    """
    is_own_D = own_parameters(data.encoding, option)
    is_spread = not is_near and option.n_looks % _SPREAD_EVERY == 0
    encoding = pinned(data.encoding, option.parameter, (option.place,))
    if is_spread:
        named = generator_for(seed, "option", option.parameter, option.place)
        candidates_MD = _spread_candidates(data, option, encoding, is_own_D, named)
    else:
        candidates_MD = near_candidates(data, option, encoding, is_own_D, generator)
    # For an option whose points are rarely feasible or new.
    others_MD = snap(encoding, generator.random((N_SAMPLED, len(is_own_D))))
    for units_MD in (candidates_MD, others_MD):
        if is_feasible_point is not None:
            units_MD = units_MD[is_feasible_point(units_MD)]
        rows_MF = features(data.encoding, units_MD)
        units_MD = units_MD[~is_repeat(rows_MF, data.tried_TF).any(axis=1)] if len(units_MD) else units_MD
        if len(units_MD):
            return OwedLook(option, units_MD, is_spread)
    return None


def _spread_candidates(
    data: TrialData,
    option: Option,
    encoding: Encoding,
    is_own_D: NDArray[np.bool_],
    generator: np.random.Generator,
) -> Floats:
    """Return the units of the best trial with the option, and with other parameters of its own, (M, D).

    The own parameters are the middle of their ranges, then a Sobol sequence. Points near one of the option's trials are
    left out, unless all are near one. Then the farthest one comes first.
    """
    best_D = data.best_ND[0]
    sequence_MD = _MARGIN + (1 - 2 * _MARGIN) * sobol_units(_N_SPREAD, len(best_D), generator)
    fresh_MD = units_of_coordinates(data.encoding, np.vstack([np.full((1, len(best_D)), 0.5), sequence_MD]))
    is_kept_D = ~is_own_D & ~np.isnan(best_D)
    snapped_MD = snap(encoding, np.where(is_kept_D, best_D, fresh_MD))
    own_F = np.zeros(data.tried_TF.shape[1], dtype=bool)
    for parameter, columns in columns_of(data.encoding).items():
        own_F[columns] = not is_kept_D[parameter]
    own_TF = data.tried_TF[option.is_own_T][:, own_F]
    if not len(own_TF) or not own_F.any():
        return snapped_MD
    rows_MF = features(data.encoding, snapped_MD)[:, own_F]
    distance_M = np.sqrt(np.square(rows_MF[:, None] - own_TF).mean(axis=2).min(axis=1))
    is_far_M = distance_M >= FAR
    return snapped_MD[is_far_M if is_far_M.any() else np.argsort(-distance_M, kind="stable")]


def near_candidates(
    data: TrialData,
    option: Option,
    encoding: Encoding,
    is_own_D: NDArray[np.bool_],
    generator: np.random.Generator,
) -> Floats:
    """Return the units of points near the option's best trials, (M, D).

    At every second look they have the shared parameters of the best trial of all. The other parameters move by normal
    steps, those of half of the points by short ones.
    """
    is_own_N = option.is_own_T[: len(data.rows_NF)][data.order_N]
    own_ND = data.best_ND[is_own_N][:_N_PARENTS]
    parents_ND = own_ND if len(own_ND) else data.best_ND[:1]
    parents_MD = np.resize(parents_ND, (_N_NEAR, parents_ND.shape[1]))
    is_kept_D = ~is_own_D & ~np.isnan(data.best_ND[0]) & (option.has_own and option.n_looks % 2 == 1)
    parents_MD = np.where(is_kept_D, data.best_ND[0], parents_MD)
    parents_MD = np.where(np.isnan(parents_MD), generator.random(parents_MD.shape), parents_MD)
    radius_M1 = np.where(generator.random((_N_NEAR, 1)) < 0.5, *_RADII)
    is_option_D = np.array([dimension.is_categorical for dimension in data.encoding.dimensions])
    steps_MD = np.where(is_option_D | is_kept_D, 0.0, radius_M1 * generator.standard_normal(parents_MD.shape))
    coordinates_MD = np.clip(coordinates_of_units(data.encoding, parents_MD) + steps_MD, 0.0, LAST_UNIT)
    return snap(encoding, units_of_coordinates(data.encoding, coordinates_MD))
