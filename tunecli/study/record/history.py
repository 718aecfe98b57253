"""The record as a sampler may see it."""

from __future__ import annotations

from collections.abc import Iterable

from tunecli.objective import Objective
from tunecli.trial import Observation, Outcome, State, Trial


class History:
    """What was observed of each trial that ended; made once and not at every suggestion."""

    def __init__(self, trials: Iterable[Trial], objective: Objective) -> None:
        """Look at the record.

        Args:
            trials: all of it, by number.
            objective: what is optimised, and what is to hold.
        """
        self._objective = objective
        self._pending: dict[int, Observation] = {}
        self._ended: dict[int, Observation] = {}
        self._shown: dict[int, Observation] = {}
        self._last_seen = -1
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        """A trial is on record: it was suggested, as the last one, or has ended."""
        number = trial.number
        self._pending[number] = self._shown[number] = Observation(number, trial.parameters, State.WAITING)
        if trial.outcome is not None:
            self._ended[number] = self._observation(trial, trial.outcome)
            if number <= self._last_seen:
                self._shown[number] = self._ended[number]

    def _observation(self, trial: Trial, outcome: Outcome) -> Observation:
        score = outcome.score if trial.state is not State.FAILED else None
        if score is None:
            return Observation(trial.number, trial.parameters, trial.state)
        objective = self._objective
        metrics = {**outcome.metrics, objective.metric: score}
        losses = objective.losses(metrics) if objective.further_objectives else ()
        loss, excesses = objective.sign * score, objective.violations(metrics)
        return Observation(trial.number, trial.parameters, trial.state, loss, losses, excesses)

    def up_to(self, last_seen: int) -> list[Observation]:
        """All trials by number; those numbered above ``last_seen``, and those that run, are pending."""
        if last_seen < self._last_seen:
            self._shown, self._last_seen = dict(self._pending), -1
        for number in range(self._last_seen + 1, last_seen + 1):
            if number in self._ended:
                self._shown[number] = self._ended[number]
        self._last_seen = last_seen
        return list(self._shown.values())
