"""The record as a pruner may see it: the course of every complete trial's loss.

A trial's bounds are settled before it begins, from the trials up to n - lookahead, which have all ended (law 5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunecli.config.study import StudySpec
from tunecli.messages import EpochEnded
from tunecli.registry.pruners import is_pausing
from tunecli.search.protocols import Bounds, LossCurve, stop_bounds
from tunecli.store.database import Log
from tunecli.trial import State, Trial


class Curves:
    """By number, the losses of each complete trial with their epochs; none where no pruner looks at them."""

    def __init__(self, spec: StudySpec, log: Log, trials: Mapping[int, Trial]) -> None:
        """Read the record's.

        Args:
            spec: what the user asked for.
            log: the record.
            trials: all on it, by number.
        """
        self._pruner, self._objective, self._log = spec.settings.search.pruner, spec.objective, log
        self._is_looked_at = self._pruner != "none" and not is_pausing(self._pruner)
        self._curves: dict[int, LossCurve] = {}
        if self._is_looked_at:
            complete = [number for number, trial in trials.items() if trial.state is State.COMPLETE]
            epochs_of = log.epochs_of(complete)
            self._curves = {number: self._curve(epochs) for number, epochs in epochs_of.items()}

    def add(self, number: int) -> None:
        """A trial is on record as complete, with all its epochs."""
        if self._is_looked_at:
            self._curves[number] = self._curve(self._log.epochs(number))

    def stop_bounds(self, last_seen: int) -> Bounds:
        """The pruner's bounds for a trial that may see those up to ``last_seen``."""
        seen = [curve for number, curve in self._curves.items() if number <= last_seen]
        return stop_bounds(self._pruner, seen)

    def _curve(self, epochs: Sequence[EpochEnded]) -> LossCurve:
        """The loss at each epoch that told one: the user's own trial may report without, or not every epoch."""
        metric, sign = self._objective.metric, self._objective.sign
        return [(each.epoch, sign * each.metrics[metric]) for each in epochs if metric in each.metrics]
