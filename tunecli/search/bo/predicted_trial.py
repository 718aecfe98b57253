"""What is thought of a trial by all that was learnt: its loss, whether it will hold, and what it is to be better than.

`belief` forms an opinion of full trainings, `ends` one of trials that are trained to their end. Pure; knows rows.

Axes: W trials, P pending ones, M points, F columns, S opinions of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tunecli.search.bo.acquisition import Acquisition
from tunecli.search.bo.constraints import LIKELY
from tunecli.search.bo.encoding import Floats
from tunecli.search.bo.surrogate import Model

LogChance = Callable[[Floats], Floats]
"""Rows of shape (M, F) → the log of a chance at each, (M,)."""


@dataclass(frozen=True)
class PredictedTrial:
    """See the module.

    Attributes:
        model: of the warped losses; the pending trials are taken for granted.
        hold: that a trial neither fails nor breaks a constraint.
        best: by each opinion of the model the best so far, (S,): the best mean and not the best loss, which may owe
            its rank to noise. None where there is none to better.
    """

    model: Model
    hold: LogChance
    best: Floats | None

    def worth(self, rows_MF: Floats, worth: Acquisition) -> Floats:
        """What trials at ``rows_MF`` are worth, (M,)."""
        # Where nothing holds yet there is no best to improve on: what most likely holds is wanted first.
        worth_M = 0.0 if self.best is None else worth(*self.model.predict(rows_MF), self.best)
        return worth_M + self.hold(rows_MF)


def opinion_of(model: Model, hold: LogChance, rivals_WF: Floats, pending_PF: Floats) -> PredictedTrial:
    """The opinion where the best is among ``rivals_WF`` and those of ``pending_PF`` that likely hold.

    Where there is no rival there is no best, whatever is pending.
    """
    if not len(rivals_WF):
        return PredictedTrial(model, hold, None)
    likely_PF = pending_PF[hold(pending_PF) > LIKELY]
    return PredictedTrial(model, hold, model.predict(np.vstack([rivals_WF, likely_PF]))[0].min(axis=1))


def all_of(*chances: LogChance) -> LogChance:
    """That all hold, each whatever the others do."""

    def hold(rows_MF: Floats) -> Floats:
        total_M: Floats = np.sum([chance(rows_MF) for chance in chances], axis=0)
        return total_M

    return hold
