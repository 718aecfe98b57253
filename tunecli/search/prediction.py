"""Model predictions in the metric's own units: each trial's noise-free loss, and the expected improvement of the next.

The model is a mixture of S Gaussian processes of warped losses. Its results are quantiles and probabilities, since the
inverse of the warp preserves them. Pure functions of the record (record-is-the-state).

Axes: N trials, M candidates, S kernels, K nodes of an integral, F columns of the encoding, D parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import log_expected_improvement
from tunecli.search.bo.acquisition_optimizer import (
    exclude_repeats,
    feasibility_of,
    is_large_model,
    ranked_candidates,
)
from tunecli.search.bo.encoding import Floats, features, units_of_points
from tunecli.search.bo.gaussian_process import GaussianProcess
from tunecli.search.bo.outcome_transforms import Warping
from tunecli.search.bo.posterior import can_fit, deterministic_blas, fit_posterior, trial_data
from tunecli.search.bo.surrogate import SURROGATES
from tunecli.search.bo.training_subset import finite_loss
from tunecli.search.samplers.bayes import n_initial_without_priors
from tunecli.seeding import generator_for
from tunecli.trial import Observation, State

_N_NODES = 64
_TAIL_DEVIATIONS = 6.0  # below a mean; the probability beyond is negligible
_N_CANDIDATES = 64  # whose improvement is integrated
_BATCH_SIZE = 4096  # trials
_SLOPE_STEP = 0.05  # in warped losses, whose deviation is 1


@dataclass(frozen=True, slots=True)
class Prediction:
    """The noise-free loss of a trial.

    Attributes:
        loss: its median, in the unit of the loss.
        deviation: half the distance between the 16th and the 84th percentile, in the unit of the loss.
    """

    loss: float
    deviation: float


def predict_trials(
    space: Space,
    history: Sequence[Observation],
    seed: int,
    noise_floor: float = 0.0,
    n_most: int | None = None,
) -> Mapping[int, Prediction]:
    """Return the Gaussian process's prediction of each complete trial, by number.

    The process is fitted to the complete trials, of a long record to a training subset. Trials whose losses were
    reduced to the outlier cap get no prediction. The result is empty if there are fewer complete trials than `bayes`
    has initial ones, if all losses are equal, or if the space has more parameters than `bayes` can model.

    Args:
        space: the space of the trials.
        history: every trial, by number.
        seed: the study's seed.
        noise_floor: the least deviation of one loss by noise that the process assumes, as measured by fresh runs of a
            few trials, in the unit of the loss; 0: the process estimates the noise alone.
        n_most: how many trials get a prediction at the most: the feasible ones with the lowest losses; None: all.
    """
    complete = [o for o in history if o.state is State.COMPLETE and finite_loss(o) is not None]
    if len(complete) < n_initial_without_priors(space) or not can_fit(space, complete):
        return {}
    predictions: dict[int, Prediction] = {}
    with deterministic_blas():
        data = trial_data(space, complete)
        posterior = fit_posterior(data, SURROGATES["gp"].default, partial(generator_for, seed, len(history)))
        surrogate = posterior.surrogate
        noise = _warped_noise(data.warping, noise_floor)
        if noise > 0 and isinstance(surrogate, GaussianProcess):
            surrogate = surrogate.with_noise_of(noise)
        predicted = _best(complete, n_most)
        for first in range(0, len(predicted), _BATCH_SIZE):
            batch = predicted[first : first + _BATCH_SIZE]
            units_ND = units_of_points(space, (o.parameters for o in batch))
            mean_SN, deviation_SN = surrogate.predict(features(data.encoding, units_ND))
            # The mixture is approximated by one normal with its mean and variance.
            mean_N = mean_SN.mean(axis=0)
            deviation_N = np.sqrt(np.square(deviation_SN).mean(axis=0) + mean_SN.var(axis=0))
            low_N, loss_N, high_N = data.warping.losses(
                mean_N + np.array([[-1.0], [0.0], [1.0]]) * deviation_N
            )
            half_N = high_N / 2 - low_N / 2
            for trial, loss, half in zip(batch, loss_N.tolist(), half_N.tolist(), strict=True):
                if trial.loss is not None and trial.loss <= data.warping.outlier_cap:
                    predictions[trial.number] = Prediction(loss, half)
    return predictions


def _best(complete: Sequence[Observation], n_most: int | None) -> Sequence[Observation]:
    """Return the ``n_most`` best complete trials, by number: feasible ones first, and then by loss."""
    if n_most is None or len(complete) <= n_most:
        return complete

    def key(trial: Observation) -> tuple[bool, float, int]:
        return any(amount > 0 for amount in trial.violations), finite_loss(trial) or 0.0, trial.number

    return sorted(sorted(complete, key=key)[:n_most], key=lambda trial: trial.number)


def _warped_noise(warping: Warping, noise: float) -> float:
    """Return a deviation of the losses as one of the warped losses, by the median slope in their better half."""
    better_N = warping.values_N[warping.values_N <= np.median(warping.values_N)]
    slopes_N = (warping.losses(better_N + _SLOPE_STEP) - warping.losses(better_N - _SLOPE_STEP)) / (
        2 * _SLOPE_STEP
    )
    slope = float(np.median(slopes_N))
    return noise / slope if slope > 0 else 0.0


def expected_improvement(
    space: Space,
    history: Sequence[Observation],
    number: int,
    seed: int,
    *,
    surrogate: str = "gp",
    acquisition: str = "mixed",
) -> float | None:
    """Return the largest expected improvement that trial ``number`` can have on the incumbent, in the unit of the loss.

    The incumbent is the lowest predicted noise-free loss of a trial. The improvement at a point is multiplied by the
    probability that the point is feasible.

    Args:
        space, history, number, seed: as for a sampler.
        surrogate: the kind of model; a key of ``SURROGATES``.
        acquisition: of `bayes`, whose settings are passed on; the result does not depend on it.

    Returns:
        At least 0. None as long as `bayes` uses no model, or if no trial or no candidate is feasible.
    """
    if number < n_initial_without_priors(space) or not can_fit(space, history):
        return None
    with deterministic_blas():
        data = trial_data(space, history)
        posterior = fit_posterior(data, SURROGATES[surrogate].default, partial(generator_for, seed, number))
        if posterior.incumbent_S is None:
            return None

        def score(units_MD: Floats) -> Floats:
            rows_MF = features(data.encoding, units_MD)
            scores_M = posterior.score(rows_MF, log_expected_improvement)
            return exclude_repeats(scores_M, rows_MF, data.tried_TF)

        ranked_MD = ranked_candidates(
            data.encoding,
            score,
            data.best_ND,
            generator_for(seed, number, "improvement"),
            is_large=is_large_model(data.rows_NF),
            is_feasible=feasibility_of(space),
        )[:_N_CANDIDATES]
        if not len(ranked_MD):
            return None
        is_new_M = np.isfinite(score(ranked_MD))
        rows_MF = features(data.encoding, ranked_MD)
        mean_SM, deviation_SM = posterior.surrogate.predict(rows_MF)
        improvement_M = _improvement(data.warping, mean_SM, deviation_SM, posterior.incumbent_S)
        improvement_M = np.where(is_new_M, improvement_M * np.exp(posterior.log_feasible(rows_MF)), 0.0)
    return float(improvement_M.max())


def _improvement(warping: Warping, mean_SM: Floats, deviation_SM: Floats, incumbent_S: Floats) -> Floats:
    """Return E[max(0, g(incumbent) - g(Y))], (M,), averaged over the S normals Y, where g is the inverse of the warp.

    Integration by parts turns it into the integral of P(Y < t) dg(t) up to the incumbent, which a midpoint rule
    computes.
    """
    from scipy.special import ndtr

    incumbent_S1 = incumbent_S[:, None]
    width_SM = np.maximum(incumbent_S1 - mean_SM, 0.0) + _TAIL_DEVIATIONS * deviation_SM
    fractions_K = np.linspace(0.0, 1.0, _N_NODES + 1)
    nodes_KSM = incumbent_S1 - fractions_K[:, None, None] * width_SM
    losses_KSM = warping.losses(nodes_KSM)
    middles_KSM = (nodes_KSM[1:] + nodes_KSM[:-1]) / 2
    probability_KSM = ndtr((middles_KSM - mean_SM) / deviation_SM)
    improvement_M: Floats = (probability_KSM * (losses_KSM[:-1] - losses_KSM[1:])).sum(axis=0).mean(axis=0)
    return improvement_M
