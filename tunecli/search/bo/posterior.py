"""What the trials so far make `bayes` believe: a model of the losses, and of where trials fail or break a constraint.

A trial is seen as what it is (laws 5, 6): a finished one by its loss, a pending one as a point whose loss will be what
is expected of it, a failed one not as a bad loss but as ground that may not hold, and one that breaks a constraint by
how far. A pure function of the record and of the generators it is given (law 1).

Axes: N observed points, U failed ones, P pending ones, C constraints, M candidates, D parameters, F columns, S opinions
of the model.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Space
from tunecli.search.bo.acquisition import Acquisition
from tunecli.search.bo.acquisition_optimizer import is_dear, without_repeats
from tunecli.search.bo.constraints import excesses_of, holds, log_chance_to_satisfy, merits
from tunecli.search.bo.encoding import Encoding, Floats, encoding_of, features, units_of_points
from tunecli.search.bo.feasibility import log_chance_to_hold
from tunecli.search.bo.predicted_trial import PredictedTrial, all_of, opinion_of
from tunecli.search.bo.surrogate import Surrogate
from tunecli.search.bo.training_subset import most_telling
from tunecli.search.bo.warping import Warping, warping
from tunecli.search.samplers.quasirandom import MAX_DIMENSIONS
from tunecli.trial import Observation, State

_MAX_OBSERVATIONS = 200
_PENDING = (State.WAITING, State.RUNNING)

Draw = Callable[[str], np.random.Generator]
"""A generator by what it is for."""


@dataclass(frozen=True)
class TrialData:
    """What the record shows of a space.

    Attributes:
        encoding: of the space.
        units: (N, D), of the trials that a model is fitted to, by their numbers.
        rows, failed, pending: those trials, (N, F), the failed ones, (U, F), and those under way, (P, F).
        sound: the latest of those under way that are known not to have failed yet, for they paused.
        warping: of the losses, (N,), and back.
        excesses: (N, C), see :func:`tunecli.search.bo.constraints.excesses_of`.
        order: (N,), the best trial first.
    """

    encoding: Encoding
    units: Floats
    rows: Floats
    failed: Floats
    pending: Floats
    sound: Floats
    warping: Warping
    excesses: Floats
    order: NDArray[np.intp]

    @property
    def held(self) -> Floats:
        """The warped losses of the trials that break no constraint, by their numbers."""
        found_N: Floats = self.warping.values[holds(self.excesses)]
        return found_N


@dataclass(frozen=True)
class Posterior:
    """What is believed of a space.

    Attributes:
        encoding: of the space.
        opinion: of rows; its model's losses are warped.
        warping: of the losses, and back.
        best_units: (N, D), the units of the trials with a loss, the best one first.
        is_dear: whether a prediction is.
        tried: the rows of every trial, whatever became of it.
    """

    encoding: Encoding
    opinion: PredictedTrial
    warping: Warping
    best_units: Floats
    is_dear: bool
    tried: Floats

    def score(self, units_MD: Floats, worth: Acquisition) -> Floats:
        """What trials at ``units_MD`` are worth, (M,): -inf where one would repeat another."""
        rows_MF = features(self.encoding, units_MD)
        return without_repeats(self.opinion.worth(rows_MF, worth), rows_MF, self.tried)


def is_telling(space: Space, history: Sequence[Observation]) -> bool:
    """Whether there is anything to fit a model to: two different losses, in a space that it can search."""
    losses = {loss for observation in history if (loss := finite_loss(observation)) is not None}
    return len(losses) >= 2 and len(space.parameters) <= MAX_DIMENSIONS


def evidence_of(space: Space, history: Sequence[Observation]) -> TrialData:
    """What ``history`` shows, which :func:`is_telling`."""
    encoding = encoding_of(space)
    losses = [(o, loss) for o in history if (loss := finite_loss(o)) is not None]
    merit_of = _merits(losses)
    chosen, failed = most_telling(
        [(o, merit_of.get(o.number, loss)) for o, loss in losses],
        [o for o in history if o.state not in _PENDING and finite_loss(o) is None],
        _MAX_OBSERVATIONS,
    )
    scored = [o for o, _ in chosen]
    pending = [o for o in history if o.state in _PENDING]
    scored_ND, failed_UD, pending_PD = (
        units_of_points(space, (o.parameters for o in observations))
        for observations in (scored, failed, pending)
    )
    warped = warping(np.array([finite_loss(o) for o in scored], dtype=np.float64))
    rows_NF, failed_UF, pending_PF = (
        features(encoding, units) for units in (scored_ND, failed_UD, pending_PD)
    )
    order_N = np.argsort([merit for _, merit in chosen] if merit_of else warped.values, kind="stable")
    excesses_NC = excesses_of([o.violations for o in scored])
    sound = pending_PF[[o.state is State.RUNNING for o in pending]][-_MAX_OBSERVATIONS // 4 :]
    return TrialData(encoding, scored_ND, rows_NF, failed_UF, pending_PF, sound, warped, excesses_NC, order_N)


def believed(
    evidence: TrialData, surrogate: Surrogate, draw: Draw, *, counts_pending: bool = False
) -> Posterior:
    """The belief that the evidence gives. To be called under :func:`steady_arithmetic`.

    Args:
        evidence: what the record shows.
        surrogate: the model.
        draw: random numbers.
        counts_pending: whether a pending trial that likely holds counts among the best so far, as what is expected
            of it: else the next trial would be to better the same best at the same place again.
    """
    rows_NF, pending_PF, groups_F = evidence.rows, evidence.pending, evidence.encoding.groups
    model = surrogate(rows_NF, evidence.warping.values, groups_F, draw("surrogate")).believing(pending_PF)
    finished_NF = np.vstack([rows_NF, evidence.sound])
    survive = log_chance_to_hold(finished_NF, evidence.failed, groups_F, draw("feasibility"))
    satisfy = log_chance_to_satisfy(rows_NF, evidence.excesses, pending_PF, groups_F, draw("constraints"))
    counted_PF = pending_PF if counts_pending else pending_PF[:0]
    return Posterior(
        evidence.encoding,
        opinion_of(model, all_of(survive, satisfy), rows_NF[holds(evidence.excesses)], counted_PF),
        evidence.warping,
        best_units=evidence.units[evidence.order],
        is_dear=is_dear(rows_NF),
        tried=np.vstack([rows_NF, evidence.failed, pending_PF]),
    )


def _merits(losses: Sequence[tuple[Observation, float]]) -> dict[int, float]:
    """By number, the place of each trial where constraints say more than its loss; empty where there are none."""
    excesses_NC = excesses_of([observation.violations for observation, _ in losses])
    if not excesses_NC.shape[1]:
        return {}
    places = merits([loss for _, loss in losses], excesses_NC)
    return {each.number: float(place) for (each, _), place in zip(losses, places, strict=True)}


@contextmanager
def steady_arithmetic() -> Iterator[None]:
    """Sums that are the same to the last bit on any number of cores; what the models warn of is not said.

    What sklearn warns of here asks nothing of the user.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import skopt  # noqa: F401  # loads every BLAS there will be, for the limit reaches only those loaded
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):  # sums are split among BLAS threads
            yield


def finite_loss(observation: Observation) -> float | None:
    """The loss; None where there is none that a model can use."""
    loss = observation.loss
    return loss if loss is not None and math.isfinite(loss) else None
