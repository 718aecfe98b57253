"""The record as samplers and pruners see it: observations of trials, and learning curves of complete ones.

Both are cut off at a trial's number, so that no result depends on how fast a trial was (speed-independence).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from weakref import ref

from tunecli.config.study import StudySpec
from tunecli.messages import EpochEnded
from tunecli.objective import Objective
from tunecli.registry.pruners import is_pausing
from tunecli.search.observations import Observations, PointIndex
from tunecli.search.protocols import Bounds, LossCurve, stop_bounds
from tunecli.store.database import Log
from tunecli.trial import Observation, Outcome, State, Trial


class History:
    """Observations of all trials, kept up to date so that they are not made anew at every suggestion."""

    def __init__(self, trials: Iterable[Trial], objective: Objective) -> None:
        """Make the observations of recorded trials.

        Args:
            trials: all trials on record, by number.
            objective: the objectives and constraints.
        """
        self._objective = objective
        self._pending: dict[int, Observation] = {}
        self._ended: dict[int, Observation] = {}
        self._shown: dict[int, Observation] = {}
        self._last_seen = -1
        self._points = PointIndex()
        self._view: Callable[[], Observations | None] = lambda: None
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        """Add a trial that was suggested (the last one), or update one that has ended."""
        self._settle_view()
        number = trial.number
        if number not in self._pending:
            self._points.add(trial.parameters)
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
        loss, violations = objective.sign * score, objective.violations(metrics)
        return Observation(trial.number, trial.parameters, trial.state, loss, losses, violations)

    def up_to(self, last_seen: int) -> Observations:
        """All observations by number; trials after ``last_seen``, and those that have not ended, are pending."""
        if last_seen != self._last_seen:
            self._settle_view()
        if last_seen < self._last_seen:
            self._shown, self._last_seen = dict(self._pending), -1
        for number in range(self._last_seen + 1, last_seen + 1):
            if number in self._ended:
                self._shown[number] = self._ended[number]
        self._last_seen = last_seen
        view = Observations(len(self._shown), self._points, lambda: list(self._shown.values()))
        self._view = ref(view)
        return view

    def _settle_view(self) -> None:
        """Let the last view read its list before a change; most views are gone by then, unread."""
        if (view := self._view()) is not None:
            view.settle()


class LearningCurves:
    """Learning curves of the complete trials, for pruners that stop trials; empty for other studies."""

    def __init__(self, spec: StudySpec, log: Log, trials: Mapping[int, Trial]) -> None:
        """Read the curves on record.

        Args:
            spec: the study.
            log: the record.
            trials: all trials on record, by number.
        """
        self._pruner, self._objective, self._log = spec.settings.search.pruner, spec.objective, log
        self._is_needed = self._pruner != "none" and not is_pausing(self._pruner)
        self._curves: dict[int, LossCurve] = {}
        if self._is_needed:
            complete = [number for number, trial in trials.items() if trial.state is State.COMPLETE]
            epochs_of = log.epochs_of(complete)
            self._curves = {number: self._curve(epochs) for number, epochs in epochs_of.items()}

    def add(self, number: int) -> None:
        """Add the curve of a trial that was recorded as complete."""
        if self._is_needed:
            self._curves[number] = self._curve(self._log.epochs(number))

    def stop_bounds(self, last_seen: int) -> Bounds:
        """The pruner's bounds for a trial, made from the curves of trials up to ``last_seen``."""
        seen = [curve for number, curve in self._curves.items() if number <= last_seen]
        return stop_bounds(self._pruner, seen)

    def _curve(self, epochs: Sequence[EpochEnded]) -> LossCurve:
        """The loss at each epoch that reported it; user code may skip epochs or the metric."""
        metric, sign = self._objective.metric, self._objective.sign
        return [(epoch.epoch, sign * epoch.metrics[metric]) for epoch in epochs if metric in epoch.metrics]
