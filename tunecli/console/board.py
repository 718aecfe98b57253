"""The state behind the display of a sweep: its trials, the best and the running ones, and its progress."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from tunecli.messages import Ended, EpochEnded, Event, Paused, Started, SweepInfo
from tunecli.results.importance import by_importance, importances
from tunecli.results.notable import Notable, notable_values, origin_of, why_of
from tunecli.results.progress import (
    N_RECENT,
    BestSoFar,
    Pace,
    RunningTrial,
    Snapshot,
    add_to,
    best_so_far,
    failures_by_kind,
    pace,
)
from tunecli.results.ranking import Ranked, leading, rank
from tunecli.trial import FailedAttempt, FailureKind, State, Trial

N_BEST = 5
_MOST_FOR_IMPORTANCE = 2_000  # the newest trials; the order of columns needs no more


@dataclass
class Running:
    """A trial that runs, or waits for a worker.

    Attributes:
        trial: the trial.
        origin: where it comes from.
        failed: the kind of the failure of the attempt before this one; empty: that one did not fail.
        is_continued: whether an attempt before this one paused or was interrupted.
        from_epoch: the epoch that it goes on from.
        began_at: when its attempt began, by the monotonic clock; None: it has not begun.
        epoch: its last epoch; None: none has ended in this attempt.
        curve: by epoch, the metric of the study's first goal so far.
    """

    trial: Trial
    origin: str = ""
    failed: str = ""
    is_continued: bool = False
    from_epoch: int = 0
    began_at: float | None = None
    epoch: EpochEnded | None = None
    curve: dict[int, float] = field(default_factory=dict)
    recorded_why: str = ""

    @property
    def why(self) -> str:
        """Why its attempt runs."""
        return self.recorded_why or why_of(
            self.origin, self.failed, self.from_epoch, is_continued=self.is_continued
        )

    def ended(self, epoch: EpochEnded, metric: str) -> None:
        """An epoch ended."""
        self.epoch = epoch
        if (value := epoch.metrics.get(metric)) is not None:
            self.curve[epoch.epoch] = value

    def began(self, event: Started) -> None:
        """An attempt began; epochs beyond the one that it goes on from are trained again."""
        self.began_at, self.from_epoch = time.monotonic(), event.from_epoch
        self.curve = {epoch: value for epoch, value in self.curve.items() if epoch <= event.from_epoch}


@dataclass
class Board:
    """The state of a sweep for its display. Every update costs little, however many trials are on record."""

    heading: SweepInfo
    trials: dict[int, Trial]
    running: dict[int, Running] = field(default_factory=dict)
    left: dict[int, Running] = field(default_factory=dict)  # by number, the state of trials that may continue
    leaders: list[Trial] = field(default_factory=list)
    failures: Counter[FailureKind] = field(default_factory=Counter)
    began_at: float = field(default_factory=time.monotonic)
    ends: deque[float] = field(default_factory=lambda: deque(maxlen=N_RECENT + 1))
    n_ended: int = 0
    n_before: int = 0
    done_before: float = 0.0
    importance_of: Mapping[str, float] = field(default_factory=dict)
    n_ordered_at: int = -1
    best: BestSoFar = field(default_factory=lambda: BestSoFar(1))
    notices: tuple[str, ...] = ()  # what the engine waits for
    _ranked: list[Ranked] = field(default_factory=list)
    _unranked: list[Trial] = field(default_factory=list)
    _notable: dict[int, list[Notable]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leaders = leading(self.trials.values(), self.heading.objective)
        self.n_ended = self.n_before = sum(trial.outcome is not None for trial in self.trials.values())
        self.failures = failures_by_kind(self.trials.values())
        self.best = best_so_far(self.trials.values(), self.heading.objective)
        self._unranked = list(self.trials.values())
        self.done_before = self.done

    @property
    def done(self) -> float:
        """The number of ended trials, plus the fraction of its epochs for each running trial."""
        epochs = [running.epoch for running in list(self.running.values())]
        return self.n_ended + sum(e.epoch / e.total_epochs for e in epochs if e and e.total_epochs)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self.began_at

    @property
    def seconds_left(self) -> float | None:
        """The estimated time to the end, in seconds; None: no trial has made progress yet."""
        gained = self.done - self.done_before
        if gained <= 0:
            return None
        return self.elapsed_s / gained * (self.heading.n_trials - self.done)

    @property
    def pace(self) -> Pace:
        """The rate of trials in this session."""
        return pace(list(self.ends), self.n_ended - self.n_before, self.began_at, time.monotonic())

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, the most important ones for the ended trials first."""
        is_older = self.n_ended >= self.n_ordered_at * 5 / 4 or self.n_ordered_at < 0
        if is_older and self.n_ended != self.n_ordered_at:
            trials = list(self.trials.values())[-_MOST_FOR_IMPORTANCE:]
            names = self.heading.names or tuple(
                dict.fromkeys(n for trial in trials for n in trial.parameters)
            )
            found = importances(trials, self.heading.objective, names)
            self.importance_of = {name: found[name] for name in by_importance(found)}
            self.n_ordered_at = self.n_ended
        return tuple(self.importance_of)

    @property
    def ranked(self) -> list[Ranked]:
        """The best complete trials, at most `N_BEST`, with the ranks that they have among all trials.

        They are ranked among the best ones before and the trials that ended since. With several goals whole fronts are
        kept: a new trial only moves others to later fronts, so the first fronts of all trials are those of these.
        """
        if self._unranked:
            new, self._unranked = self._unranked, []
            complete = [trial for trial in new if trial.state is State.COMPLETE and trial.outcome]
            rows = rank(
                {trial.number: trial for trial in [*(row.trial for row in self._ranked), *complete]}.values(),
                self.heading.objective,
            )
            last_front = rows[:N_BEST][-1].front if rows else None
            n = N_BEST
            while last_front is not None and n < len(rows) and rows[n].front == last_front:
                n += 1
            self._ranked, self._notable = rows[:n], {}
        return self._ranked[:N_BEST]

    def notable(self, trial: Trial) -> list[Notable]:
        """The values in which a running trial differs most from the best ones, or from the other running ones."""
        best = [row.trial for row in self.ranked if row.rank is not None]
        if trial.number not in self._notable:
            others = [
                other.trial
                for other in list(self.running.values())[: N_BEST * 4]
                if other.trial.number != trial.number
            ]
            if not self.importance_of:
                _ = self.names
            self._notable[trial.number] = notable_values(
                trial, best, others, self.heading.scales, self.importance_of
            )
        return self._notable[trial.number]

    def suggested(self, trial: Trial) -> None:
        before = self.left.pop(trial.number, None)
        if before is None:
            scores = ((t.number, t.outcome.score) for t in self.trials.values() if t.outcome)
            was_there = trial.number in self.trials
            origin = origin_of(trial, self.heading.origins, scores)
            before = Running(trial, origin, is_continued=was_there)
        before.trial, before.began_at, before.epoch = trial, None, None
        self._put(trial)
        self.running[trial.number] = before
        self._notable = {}

    def happened(self, event: Event | FailedAttempt) -> None:
        if isinstance(event, EpochEnded):
            if event.number in self.running:
                self.running[event.number].ended(event, self.heading.objective.metric)
        elif isinstance(event, Started):
            if event.number in self.running:
                self.running[event.number].began(event)
        elif isinstance(event, FailedAttempt):
            if (attempt := self.running.pop(event.number, None)) is not None:
                is_failure = event.failure.kind is not FailureKind.INTERRUPTED
                attempt.failed, attempt.is_continued = str(event.failure.kind) * is_failure, not is_failure
                self.left[event.number] = attempt
        elif isinstance(event, Ended | Paused):
            running = self.running.pop(event.number)
            trial = running.trial
            ended = Trial(trial.number, trial.parameters, trial.seed, event.outcome.state, event.outcome)
            if isinstance(event, Paused):
                running.failed, running.is_continued = "", True
                self.left[event.number] = running
            self._put(ended)
            self.ends.append(time.monotonic())
            self.leaders = leading([*self.leaders, ended], self.heading.objective)
            add_to(self.best, ended, self.heading.objective)
            self._unranked.append(ended)
            self._notable = {}

    def _put(self, trial: Trial) -> None:
        before = self.trials.get(trial.number)
        self.n_ended += (trial.outcome is not None) - (before is not None and before.outcome is not None)
        self.failures += failures_by_kind([trial])
        self.trials[trial.number] = trial


def board_of(snapshot: Snapshot) -> Board:
    """The board of a sweep that another process runs."""
    board = Board(snapshot.info, {trial.number: trial for trial in snapshot.trials})
    now = time.monotonic()
    board.began_at = now - snapshot.session.elapsed_s
    board.n_before = snapshot.session.n_before
    board.done_before = float(board.n_before)
    board.ends.extend(board.began_at + end_s for end_s in snapshot.session.ends_s)
    board.notices = snapshot.notices
    for running in snapshot.running:
        board.running[running.trial.number] = _running(running, snapshot.info.objective.metric, now)
    return board


def _running(recorded: RunningTrial, metric: str, now: float) -> Running:
    running = Running(recorded.trial, recorded_why=recorded.why)
    for epoch in recorded.epochs:
        running.ended(epoch, metric)
    running.began_at = None if recorded.seconds is None else now - recorded.seconds
    return running
