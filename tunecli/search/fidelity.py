"""Fidelities: the rungs at which trials pause, and each trial's learning curve over them.

A *rung* is an index into the study's *rung fractions*, ascending fractions of a full training; the last one is 1. The
decision of a pausing pruner is a pure function of the curves, each up to the result that the decision may use
(record-is-the-state, speed-independence). This module knows neither the record nor any pruner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tunecli.trial import Observation, Parameters, State

_AUTO_DIVISOR = 10  # the first rung is near a tenth: earlier, ranks say little about the final ones


@dataclass(frozen=True, slots=True)
class Curve:
    """A trial that was begun, up to the last result that may be used.

    Attributes:
        number, parameters: the trial's.
        state: WAITING while the result of its last step may not be used; PAUSED, COMPLETE or FAILED.
        rung: the rung that its last step trains it to.
        losses: its loss (``sign * objective``, lower is better) at each rung where it paused.
        loss: its final loss; None if it is not complete.
        epochs: the number of epochs it was trained.
        violations: its violations of the constraints at each rung where it paused, and at its end under the last rung.
    """

    number: int
    parameters: Parameters
    state: State
    rung: int
    losses: Mapping[int, float] = field(default_factory=dict)
    loss: float | None = None
    epochs: int = 0
    violations: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    @property
    def is_paused(self) -> bool:
        """Whether the trial can be continued."""
        return self.state is State.PAUSED

    def loss_at(self, rung: int) -> float | None:
        """Return the loss at a rung; infinite if the trial failed before it, None if it is not known yet.

        A trial that was complete before the rung, or did not pause there, has its final loss.
        """
        if rung in self.losses:
            return self.losses[rung]
        if self.state is State.COMPLETE:
            return math.inf if self.loss is None else self.loss
        return math.inf if self.state is State.FAILED else None

    def violations_at(self, rung: int) -> tuple[float, ...]:
        """Return the violations at a rung, or the latest ones if the trial did not pause there."""
        return self.violations.get(rung, self.violations[max(self.violations)] if self.violations else ())


@dataclass(frozen=True, slots=True)
class Action:
    """The next thing that a study does: train a trial to a rung.

    Attributes:
        number: a paused trial; None begins a new one.
        rung: the rung it is trained to.
        parameters: the point of a new trial; None if the sampler suggests it.
    """

    number: int | None
    rung: int
    parameters: Parameters | None = None


def rung_fractions(full_epochs: int, min_epochs: int | Literal["auto"], factor: int) -> tuple[float, ...]:
    """Return the rungs as fractions of a full training, each ``factor`` times the one before, the last one 1.

    Args:
        full_epochs: of a full training, at least 1.
        min_epochs: lower bound of the first rung; ``auto``: the nearest rung to a tenth of a full training.
        factor: at least 2.
    """
    n = 0
    if min_epochs == "auto":
        while factor ** (n + 1) <= full_epochs and factor ** (2 * n + 1) < _AUTO_DIVISOR**2:
            n += 1
    else:
        while min_epochs * factor ** (n + 1) <= full_epochs:
            n += 1
    return tuple(1.0 / factor**below for below in range(n, -1, -1))


def pause_epochs(full_epochs: int, fractions: Sequence[float]) -> tuple[int | None, ...]:
    """Return the epoch after which a trial pauses at each rung; None if it is trained to its end.

    Two rungs never have the same epoch, so a short trial ends before the last rung.

    Args:
        full_epochs: of a full training of this trial.
        fractions: see :func:`rung_fractions`.
    """
    epochs: list[int | None] = []
    epoch = 0
    for fraction in fractions:
        epoch = max(epoch + 1, round(full_epochs * fraction))
        epochs.append(epoch if epoch < full_epochs and fraction < 1 else None)
    return tuple(epochs)


def begun(curves: Sequence[Curve]) -> list[Observation]:
    """Return every trial without its results, for the functions of :mod:`tunecli.search.draws`."""
    return [Observation(curve.number, curve.parameters, curve.state) for curve in curves]


def min_known_of(n_parameters: int) -> int:
    """Return the number of losses at one rung from which on a sampler is shown that rung; see :func:`comparable`.

    Falkner, Klein, Hutter (2018), "BOHB", section 3.1: a model needs one more point than there are parameters, and two
    further ones.
    """
    return n_parameters + 3


def comparable(curves: Sequence[Curve], n_rungs: int, min_known: int) -> list[Observation]:
    """Return the trials as a sampler sees them: with the losses of one rung, since losses of two do not compare.

    Falkner, Klein, Hutter (2018), "BOHB", section 3.1. The rung is the highest one at which ``min_known`` trials
    (:func:`min_known_of`) have a loss, or else the first. A trial without a loss there is pending: PAUSED if it has
    paused before, so that it did not fail until then, else WAITING.
    """

    def n_known(rung: int) -> int:
        return sum(curve.state is not State.FAILED and curve.loss_at(rung) is not None for curve in curves)

    rung = next((rung for rung in reversed(range(n_rungs)) if n_known(rung) >= min_known), 0)
    observations = []
    for curve in curves:
        loss = curve.loss_at(rung)
        if curve.state is State.FAILED:
            observations.append(Observation(curve.number, curve.parameters, State.FAILED))
        elif loss is None:
            state = State.PAUSED if curve.losses else State.WAITING
            observations.append(Observation(curve.number, curve.parameters, state))
        else:
            state = State.COMPLETE if curve.state is State.COMPLETE else State.PAUSED
            violations = curve.violations_at(rung)
            observations.append(Observation(curve.number, curve.parameters, state, loss, (), violations))
    return observations
