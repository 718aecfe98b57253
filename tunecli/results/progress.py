"""The progress of a sweep as values: its rate, its failures by kind, the best score so far, and the running trials."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from tunecli.messages import EpochEnded, SweepInfo
from tunecli.objective import Objective
from tunecli.results.ranking import is_feasible
from tunecli.results.view import View
from tunecli.text import shown_number
from tunecli.trial import FailureKind, State, Trial

N_RECENT = 10
"""The number of ended trials from which the recent rate is computed."""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Pace:
    """How many trials end in a minute.

    Attributes:
        overall: over the whole session; None: no trial has ended in it.
        recent: over the last `N_RECENT` trials that ended, and the time since; None: no more than that have ended.
    """

    overall: float | None = None
    recent: float | None = None

    def __str__(self) -> str:
        if self.overall is None:
            return ""
        if self.recent is None:
            return _rate(self.overall)
        return f"{_rate(self.recent)}, overall {_rate(self.overall)}"


def pace(ends_s: Sequence[float], n_ended: int, began_s: float, now_s: float) -> Pace:
    """The rate of trials.

    Args:
        ends_s: when the last trials ended, ascending; at least the last `N_RECENT` + 1 of them, if so many have.
        n_ended: number of trials that ended since ``began_s``.
        began_s: when the session began.
        now_s: now, or when the session ended. All times are seconds of one clock.
    """
    took_s = now_s - began_s
    overall = n_ended * 60 / took_s if n_ended and took_s > 0 else None
    last_s = now_s - ends_s[-N_RECENT - 1] if len(ends_s) > N_RECENT else 0.0
    return Pace(overall, N_RECENT * 60 / last_s if last_s > 0 and overall is not None else None)


def failures_by_kind(trials: Iterable[Trial]) -> Counter[FailureKind]:
    """The number of failed trials of each kind."""
    return Counter(trial.outcome.failure.kind for trial in trials if trial.outcome and trial.outcome.failure)


def failures_text(counts: Counter[FailureKind]) -> str:
    """``3 failed (2 oom, 1 error)``, the most frequent kind first; empty: no trial has failed."""
    kinds = ", ".join(f"{n} {kind}" for kind, n in counts.most_common() if n)
    return f"{counts.total()} failed ({kinds})" if kinds else ""


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that runs.

    Attributes:
        trial: the trial.
        epochs: its epochs so far.
        seconds: since its attempt began; None: it has not begun.
        why: where it comes from, or the attempt that this one repeats or continues.
        host: the machine that it runs on; empty: the one that runs the sweep.
    """

    trial: Trial
    epochs: tuple[EpochEnded, ...] = ()
    seconds: float | None = None
    why: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """The time of a study's last session.

    Attributes:
        elapsed_s: seconds since it began; up to its last end, if it is over.
        n_before: number of trials that had ended when it began.
        ends_s: when each of its trials ended, in seconds since it began, ascending.
        is_over: whether it has ended; then it has no recent rate.
    """

    elapsed_s: float = 0.0
    n_before: int = 0
    ends_s: tuple[float, ...] = ()
    is_over: bool = False

    @property
    def pace(self) -> Pace:
        """The rate of trials in the session."""
        return pace(() if self.is_over else self.ends_s, len(self.ends_s), 0.0, self.elapsed_s)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A sweep at one moment, as its record shows it.

    Attributes:
        info: the facts that do not change.
        trials: every trial, by number.
        running: the trials that run.
        session: the time of its last session.
        notices: a sentence for each thing that its engine waits for.
    """

    info: SweepInfo
    trials: tuple[Trial, ...]
    running: tuple[RunningTrial, ...]
    session: Session
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """The state of a study at one moment, for a display that follows it.

    Attributes:
        view: the study's state.
        line: the same in one line.
        change: differs from that of the moment before if something happened to a trial.
        snapshot: the sweep, for a live table; None: no process runs it.
    """

    view: View
    line: str
    change: Hashable
    snapshot: Snapshot | None


@dataclass
class BestSoFar:
    """The best score up to each trial number: the trials that were better than all those before them.

    Adding a trial costs the logarithm of their number, in any order of their ends.

    Args:
        sign: of a loss: 1 if a low score is better, -1 if a high one is.
    """

    sign: float
    _numbers: list[int] = field(default_factory=list, init=False)
    _losses: list[float] = field(default_factory=list, init=False)
    _last: int = field(default=-1, init=False)

    def add(self, number: int, score: float) -> None:
        """Add a trial; a score that is not finite does not count."""
        if not math.isfinite(score):
            return
        loss, place = self.sign * score, bisect_left(self._numbers, number)
        self._last = max(self._last, number)
        if place and self._losses[place - 1] <= loss:
            return
        after = place
        while after < len(self._losses) and self._losses[after] >= loss:
            after += 1
        self._numbers[place:after], self._losses[place:after] = [number], [loss]

    @property
    def best(self) -> tuple[int, float] | None:
        """The number and the score of the best trial, of equal ones the first; None: no score counts."""
        return (self._numbers[-1], self.sign * self._losses[-1]) if self._numbers else None

    @property
    def steps(self) -> list[tuple[int, float]]:
        """The trials that were better than all those before them: number and score."""
        return [(number, self.sign * loss) for number, loss in zip(self._numbers, self._losses, strict=True)]

    def values(self, n_most: int) -> list[float]:
        """The best score so far at no more than ``n_most`` trial numbers, evenly spread from the first to the last."""
        if not self._numbers:
            return []
        first, n = self._numbers[0], self._last - self._numbers[0] + 1
        n_shown = min(n, n_most)
        numbers = [first + round(index * (n - 1) / max(1, n_shown - 1)) for index in range(n_shown)]
        return [self.sign * self._losses[bisect_right(self._numbers, number) - 1] for number in numbers]


def best_so_far(trials: Iterable[Trial], objective: Objective) -> BestSoFar:
    """The best score so far of the trials; empty for a study with several goals, whose trials have no order."""
    best = BestSoFar(objective.sign)
    for trial in trials:
        add_to(best, trial, objective)
    return best


def add_to(best: BestSoFar, trial: Trial, objective: Objective) -> None:
    """Add a trial if it counts: it is complete and feasible, and the study has one goal."""
    outcome = trial.outcome
    if objective.further_objectives or outcome is None or outcome.score is None:
        return
    if trial.state is State.COMPLETE and is_feasible(trial, objective):
        best.add(trial.number, outcome.score)


def sparkline(values: Sequence[float], n_columns: int) -> str:
    """The values as bars of eight heights, the last one at the right; of many values, evenly spread ones.

    Values that are not finite are blanks. Equal values are all of middle height.

    Args:
        values: any number of them.
        n_columns: the most characters, at least 1.
    """
    if len(values) > n_columns:
        step = (len(values) - 1) / max(1, n_columns - 1)
        values = [values[round(index * step)] for index in range(n_columns)]
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    return "".join(
        " "
        if not math.isfinite(value)
        else BARS[3 if high == low else round(share(value, low, high) * (len(BARS) - 1))]
        for value in values
    )


def share(value: float, low: float, high: float) -> float:
    """Where a value lies between two others, from 0 to 1; a half if they are equal."""
    # Halves: the difference of the largest floats is infinite.
    return min(1.0, max(0.0, (value / 2 - low / 2) / (high / 2 - low / 2))) if high > low else 0.5


def _rate(per_minute: float) -> str:
    """``12 trials/min``, or ``3.1 trials/h`` if there is less than one in a minute."""
    if per_minute >= 1:
        return f"{shown_number(float(per_minute), 3)} trials/min"
    return f"{shown_number(float(per_minute * 60), 2)} trials/h"
