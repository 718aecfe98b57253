"""The posterior of `bayes`: recorded trials → training data → surrogate, feasibility and incumbent.

Every state of a trial has its own meaning. A finished trial is an observed loss. A pending one is a fantasy: the model
takes its own prediction there as observed. A failed trial is not a bad loss, but data for the model of failures. The
amount by which trials violate a constraint is data for the model of that constraint. The posterior depends only on the
record and on the generators that are passed (record-is-the-state).

*Units*: rows are in the encoding's coordinates; the surrogate's losses are warped.

Axes: N training trials, U failed ones, P pending ones, T all of these, C constraints, W trials that compete for the
incumbent, M candidates, D parameters, F columns, S members of the surrogate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import Acquisition
from tunecli.search.bo.encoding import (
    Encoding,
    Floats,
    encoding_of,
    features,
    option_columns,
    units_of_points,
)
from tunecli.search.bo.feasibility import (
    LOG_HALF,
    LogProbability,
    is_feasible,
    log_probability_constraints,
    log_probability_success,
    violation_matrix,
)
from tunecli.search.bo.outcome_transforms import Warping, warping
from tunecli.search.bo.surrogate import FitSurrogate, Surrogate
from tunecli.search.bo.training_subset import feasibility_ranks, finite_loss, training_subset
from tunecli.search.draws import MAX_SOBOL_DIMENSIONS
from tunecli.trial import Observation, State

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_MAX_OBSERVATIONS = 200  # a Gaussian process costs the cube of their number

Streams = Callable[[str], np.random.Generator]
"""A random generator by the name of its stream."""


@dataclass(frozen=True)
class Posterior:
    """The prediction of a trial: loss, feasibility, and the incumbent to improve on.

    Attributes:
        surrogate: of the warped losses, conditioned on fantasies of the pending trials.
        log_feasible: rows (M, F) → the log-probability that a trial neither fails nor violates a constraint, (M,).
        incumbent_S: each member's lowest mean among the trials so far. It is a mean and not a loss, since noise alone
            can make a loss low. None if no trial is feasible.
    """

    surrogate: Surrogate
    log_feasible: LogProbability
    incumbent_S: Floats | None

    def score(self, rows_MF: Floats, acquisition: Acquisition) -> Floats:
        """Return the acquisition plus the log-probability of feasibility at ``rows_MF``, (M,); higher is better.

        Without an incumbent it is the log-probability of feasibility alone.
        """
        scores_M = (
            0.0
            if self.incumbent_S is None
            else acquisition(*self.surrogate.predict(rows_MF), self.incumbent_S)
        )
        return scores_M + self.log_feasible(rows_MF)


@dataclass(frozen=True)
class TrialData:
    """The recorded trials as arrays.

    Attributes:
        encoding: of the space.
        units_ND, rows_NF: the training trials, by number.
        failed_UF, pending_PF: failed trials, and those that are not finished.
        survived_PF: the latest pending trials that have paused: they have not failed so far.
        tried_TF, numbers_T: all of the above, and their numbers.
        losses_N, warping: the training losses; their transform, and its inverse.
        violations_NC: see :func:`tunecli.search.bo.feasibility.violation_matrix`.
        order_N: indices of the training trials, the best first.
    """

    encoding: Encoding
    units_ND: Floats
    rows_NF: Floats
    failed_UF: Floats
    pending_PF: Floats
    survived_PF: Floats
    tried_TF: Floats
    numbers_T: NDArray[np.intp]
    losses_N: Floats
    warping: Warping
    violations_NC: Floats
    order_N: NDArray[np.intp]

    @property
    def best_ND(self) -> Floats:
        """The units of the training trials, the best first."""
        return self.units_ND[self.order_N]

    @property
    def feasible_values_N(self) -> Floats:
        """The warped losses of the feasible training trials, by number."""
        values_N: Floats = self.warping.values_N[is_feasible(self.violations_NC)]
        return values_N


def can_fit(space: Space, history: Sequence[Observation]) -> bool:
    """Return whether a surrogate can be fitted: two different losses, and not more parameters than Sobol dimensions."""
    losses = {loss for trial in history if (loss := finite_loss(trial)) is not None}
    return len(losses) >= 2 and len(space.parameters) <= MAX_SOBOL_DIMENSIONS


def trial_data(space: Space, history: Sequence[Observation]) -> TrialData:
    """Return the trials as arrays. If there are many, only a subset of them is used for training.

    Args:
        space: the space of the trials.
        history: every trial, by number; :func:`can_fit` is true for it.
    """
    encoding = encoding_of(space)
    with_loss = [(trial, loss) for trial in history if (loss := finite_loss(trial)) is not None]
    rank_by_number = feasibility_ranks(with_loss)
    chosen, failed = training_subset(
        [(trial, rank_by_number.get(trial.number, loss)) for trial, loss in with_loss],
        [trial for trial in history if not trial.is_pending and finite_loss(trial) is None],
        _MAX_OBSERVATIONS,
    )
    trained = [trial for trial, _ in chosen]
    pending = [trial for trial in history if trial.is_pending]
    units_ND, failed_UD, pending_PD = (
        units_of_points(space, (trial.parameters for trial in trials))
        for trials in (trained, failed, pending)
    )
    losses_N = np.array([finite_loss(trial) for trial in trained], dtype=np.float64)
    loss_warping = warping(losses_N)
    rows_NF, failed_UF, pending_PF = (
        features(encoding, units) for units in (units_ND, failed_UD, pending_PD)
    )
    sort_keys = [rank for _, rank in chosen] if rank_by_number else loss_warping.values_N
    return TrialData(
        encoding,
        units_ND,
        rows_NF,
        failed_UF,
        pending_PF,
        survived_PF=pending_PF[[trial.state is State.PAUSED for trial in pending]][-_MAX_OBSERVATIONS // 4 :],
        tried_TF=np.vstack([rows_NF, failed_UF, pending_PF]),
        numbers_T=np.array([trial.number for trial in (*trained, *failed, *pending)], dtype=np.intp),
        losses_N=losses_N,
        warping=loss_warping,
        violations_NC=violation_matrix([trial.violations for trial in trained]),
        order_N=np.argsort(sort_keys, kind="stable"),
    )


def fit_posterior(
    data: TrialData, fit: FitSurrogate, streams: Streams, *, include_pending: bool = False
) -> Posterior:
    """Fit the surrogate and the feasibility models. Call it inside :func:`deterministic_blas`.

    Args:
        data: the trials.
        fit: fits the surrogate.
        streams: random generators by name.
        include_pending: whether the fantasies of likely feasible pending trials count for the incumbent. Without them
            the next trial would try to improve on the same incumbent at the same place again.
    """
    groups_F = data.encoding.groups_F
    surrogate = fit(data.rows_NF, data.warping.values_N, groups_F, streams("surrogate")).fantasize(
        data.pending_PF
    )
    success = log_probability_success(
        np.vstack([data.rows_NF, data.survived_PF]),
        data.failed_UF,
        groups_F,
        streams("feasibility"),
        option_columns(data.encoding),
    )
    constraints = log_probability_constraints(
        data.rows_NF, data.violations_NC, data.pending_PF, groups_F, streams("constraints")
    )
    return with_incumbent(
        surrogate,
        joint_log_probability(success, constraints),
        data.rows_NF[is_feasible(data.violations_NC)],
        data.pending_PF if include_pending else data.pending_PF[:0],
    )


def with_incumbent(
    surrogate: Surrogate, log_feasible: LogProbability, feasible_WF: Floats, pending_PF: Floats
) -> Posterior:
    """Return the posterior whose incumbent is the best of ``feasible_WF`` and the likely feasible of ``pending_PF``.

    Without a feasible trial there is no incumbent, even if likely feasible ones are pending.
    """
    if not len(feasible_WF):
        return Posterior(surrogate, log_feasible, None)
    likely_PF = pending_PF[log_feasible(pending_PF) > LOG_HALF]
    mean_SW = surrogate.mean(np.vstack([feasible_WF, likely_PF]))
    return Posterior(surrogate, log_feasible, mean_SW.min(axis=1))


def joint_log_probability(*log_probabilities: LogProbability) -> LogProbability:
    """Return the log-probability that independent events all happen."""

    def log_probability(rows_MF: Floats) -> Floats:
        total_M: Floats = np.sum([each(rows_MF) for each in log_probabilities], axis=0)
        return total_M

    return log_probability


@contextmanager
def deterministic_blas() -> Iterator[None]:
    """Run BLAS on one thread, so that sums have the same bits on any number of cores; and silence warnings.

    Nothing that scikit-learn warns of here requires an action from the user.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _loaded_blas().limit(limits=1, user_api="blas"):
            yield


@cache
def _loaded_blas() -> ThreadpoolController:
    """The BLAS libraries of NumPy and SciPy. Looking for them takes 5 ms, so a process does it once."""
    import skopt  # noqa: F401  # loads them: the limit applies only to loaded ones
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
