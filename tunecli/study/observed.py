"""The record as a sampler may see it."""

from __future__ import annotations

from collections.abc import Iterable

from tunecli.trial import Observation, State, Trial


class Seen:
    """What was observed of each trial that ended; made once and not at every suggestion."""

    def __init__(self, trials: Iterable[Trial], sign: float) -> None:
        """Look at the record.

        Args:
            trials: all of it, by number.
            sign: -1 where a higher score is better, and 1 where a lower one is.
        """
        self._sign = sign
        self._pending: dict[int, Observation] = {}
        self._ended: dict[int, Observation] = {}
        for trial in trials:
            self.add(trial)

    def add(self, trial: Trial) -> None:
        """A trial is on record: it was suggested, as the last one, or has ended."""
        self._pending[trial.number] = Observation(trial.number, trial.parameters, State.WAITING)
        if trial.outcome is not None:
            score = trial.outcome.score if trial.state is not State.FAILED else None
            loss = None if score is None else self._sign * score
            self._ended[trial.number] = Observation(trial.number, trial.parameters, trial.state, loss)

    def up_to(self, last_seen: int) -> list[Observation]:
        """All trials by number; those numbered above ``last_seen``, and those that run, are pending."""
        return [
            self._ended.get(number, pending) if number <= last_seen else pending
            for number, pending in self._pending.items()
        ]
