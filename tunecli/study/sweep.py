"""The sweep, one readable loop: suggest → record → dispatch → record → rank.

Law 7: a suggestion is committed before a worker gets it, a result before it is used. Law 5: suggestion n sees
the results of trials up to n - lookahead, whatever order they ended in, so the table does not depend on the
number of workers. Law 2: only this loop writes to the log.
"""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from shlex import quote
from types import FrameType
from typing import Protocol

from tunecli.engine import Engine, engine_named
from tunecli.errors import Interrupted
from tunecli.results.ranking import best
from tunecli.results.table import Table
from tunecli.search.sampler import suggest
from tunecli.spec.knobs import CommandTrial
from tunecli.spec.load import trial_models
from tunecli.spec.space import DanglingReferenceError
from tunecli.study.record import Study, job_for, publish, table_of, trial_seed
from tunecli.trial import (
    Ended,
    EpochEnded,
    Event,
    Failure,
    FailureKind,
    Heading,
    Job,
    Observation,
    Outcome,
    Started,
    State,
    Trial,
)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAIT_S = 0.2
_EPOCHS_WAIT_S = 1.0
_PUBLISH_WAIT_S = 2.0
_PUBLISH_SHARE = 0.02  # of the sweep's time, at most, goes into rewriting the table


class Display(Protocol):
    """Who is told while a sweep runs; what it does never stops training."""

    def began(self, heading: Heading, trials: list[Trial]) -> None:
        """The sweep begins, or goes on, with these trials on record."""

    def suggested(self, trial: Trial) -> None:
        """A trial was recorded and goes to a worker."""

    def happened(self, event: Event) -> None:
        """A worker said this, and it was recorded."""

    def ended(self) -> None:
        """Nothing more will come."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sweep came to its end; ``reason`` is ``complete``, ``exhausted``, or which of ``run.limit`` is spent."""

    reason: str
    path: str
    table: Table
    n_scored: int


def sweep(study: Study, display: Display) -> Ending:
    """Run the study to its total.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; what was recorded stays, the rest can be resumed.
    """
    plan = study.plan
    needs_torch = trial_models(study.spec.space.tree) != {CommandTrial}
    engine = engine_named(
        plan.engine, n_workers=plan.n_workers, threads=plan.threads, needs_torch=needs_torch
    )
    progress = _Progress(study, {trial.number: trial for trial in study.log.trials()})
    heading = Heading(study.spec.settings.study, study.spec.objective, plan.n_trials, plan.n_workers)
    shown = _Unfailing(display)
    with _signals() as received, ExitStack() as ending:
        ending.callback(lambda: publish(study, list(progress.trials.values())))
        ending.callback(progress.flush)
        ending.callback(shown.ended)
        ending.callback(engine.close)
        shown.began(heading, list(progress.trials.values()))
        reason = _run(study, engine, progress, shown, received)
        with study.log.atomic():
            study.log.set_fact("ending", reason)
    trials = list(progress.trials.values())
    n_scored = sum(trial.state is State.COMPLETE for trial in trials)
    return Ending(reason, str(study.folder.path), table_of(study, trials), n_scored)


def _run(study: Study, engine: Engine, progress: _Progress, display: Display, received: list[int]) -> str:
    reason = ""
    while True:
        while not reason and len(progress.running) < engine.n_workers:
            trial, reason = progress.next_trial()
            if trial is None:
                break
            display.suggested(trial)
            try:
                engine.submit(progress.job_for(trial))
            except DanglingReferenceError as error:
                # Rare: `check` tries two choices together, and this one takes three. A failure is data (law 6).
                failure = Failure(FailureKind.ERROR, error.message)
                unmade = Ended(trial.number, 1, Outcome(State.FAILED, failure=failure))
                progress.record(unmade)
                display.happened(unmade)
        if not progress.running:
            return reason or "complete"
        for event in engine.events(_WAIT_S):
            progress.record(event)
            display.happened(event)
        if received:
            name = signal.Signals(received[0]).name
            raise Interrupted(
                f"{name}: stopped with {progress.n_ended} of {study.plan.n_trials} trials ended",
                signal_number=received[0],
                hint=f"tunecli resume {quote(str(study.folder.path))}",
            )
        progress.publish_if_due()


class _Unfailing:
    """A display whose first failure silences it: a terminal or a pipe that closed never stops training."""

    def __init__(self, display: Display) -> None:
        self._display: Display | None = display

    def began(self, heading: Heading, trials: list[Trial]) -> None:
        self._tell(lambda display: display.began(heading, trials))

    def suggested(self, trial: Trial) -> None:
        self._tell(lambda display: display.suggested(trial))

    def happened(self, event: Event) -> None:
        self._tell(lambda display: display.happened(event))

    def ended(self) -> None:
        self._tell(lambda display: display.ended())

    def _tell(self, call: Callable[[Display], None]) -> None:
        if self._display is not None:
            try:
                call(self._display)
            except (OSError, SystemExit):  # rich leaves by SystemExit where its pipe is broken
                self._display = None


@contextmanager
def _signals() -> Iterator[list[int]]:
    """The first signal is noted, for the loop to end in order; the second ends the process at once."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    # What is ignored when the sweep begins stays ignored: `nohup` means it.
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heard}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass
class _Progress:
    """What is under way: a mirror of the log, plus what only this process knows."""

    study: Study
    trials: dict[int, Trial]
    running: dict[int, Trial] = field(default_factory=dict)
    queued: deque[Trial] = field(init=False)
    unended: set[int] = field(init=False)
    leader: Trial | None = field(init=False)
    epochs: list[EpochEnded] = field(default_factory=list)
    began_at: float = field(default_factory=time.monotonic)
    flushed_at: float = field(default_factory=time.monotonic)
    published_at: float = field(default_factory=time.monotonic)
    publishing_s: float = 0.0

    def __post_init__(self) -> None:
        self.queued = deque(trial for trial in self.trials.values() if trial.outcome is None)
        self.unended = {trial.number for trial in self.queued}
        self.leader = best(self.trials.values(), self.study.spec.objective)
        self.elapsed_before_s = float(self.study.log.facts()["elapsed_s"])

    @property
    def n_ended(self) -> int:
        return len(self.trials) - len(self.unended)

    @property
    def elapsed_s(self) -> float:
        """Over all the times that the study was run."""
        return self.elapsed_before_s + time.monotonic() - self.began_at

    def next_trial(self) -> tuple[Trial | None, str]:
        """The next trial to dispatch, or None and the reason why there will be none; no reason: wait."""
        limit_s = self.study.spec.settings.run.limit.time
        if limit_s is not None and self.elapsed_s >= limit_s:
            return None, "time"
        if self.queued:
            trial = self.queued.popleft()
            self.running[trial.number] = trial
            return trial, ""
        number, plan = len(self.trials), self.study.plan
        if number >= plan.n_trials:
            return None, "complete"
        if self.unended and min(self.unended) <= number - plan.lookahead:
            return None, ""
        if reason := self._spent(number - plan.lookahead):
            return None, reason
        suggested = self._suggested(number)
        if suggested is None:
            return None, "exhausted"
        self.trials[number] = self.running[number] = suggested
        self.unended.add(number)
        return suggested, ""

    def _spent(self, last_seen: int) -> str:
        """Which total is spent, as far as the trials up to ``last_seen`` tell; empty where none is."""
        limit = self.study.spec.settings.run.limit
        if limit.trials is not None and len(self.trials) >= limit.trials:
            return "trials"
        if limit.epochs is None and limit.failures is None:
            return ""
        ended = [trial for trial in self.trials.values() if trial.outcome and trial.number <= last_seen]
        if (
            limit.epochs is not None
            and sum(trial.outcome.epochs for trial in ended if trial.outcome) >= limit.epochs
        ):
            return "epochs"
        n_failed = sum(trial.state is State.FAILED for trial in ended)
        return "failures" if limit.failures is not None and n_failed >= limit.failures else ""

    def _suggested(self, number: int) -> Trial | None:
        spec, plan = self.study.spec, self.study.plan
        history = observations(self.trials, number - plan.lookahead, spec.objective.sign)
        point = suggest(spec.settings.search.sampler, spec.space, history, number, spec.settings.seed)
        if point is None:
            return None
        trial = Trial(number, point, trial_seed(spec, number, point))
        with self.study.log.atomic():
            self.study.log.append_suggestion(trial)
        return trial

    def job_for(self, trial: Trial) -> Job:
        """What a worker needs to run the trial now."""
        keep_below = None
        if (
            self.leader is not None
            and self.leader.outcome is not None
            and self.leader.outcome.score is not None
        ):
            # A tie is kept too: of two equal trials the one with the lower number may end last.
            keep_below = math.nextafter(self.study.spec.objective.sign * self.leader.outcome.score, math.inf)
        return job_for(
            self.study.spec,
            self.study.plan,
            trial,
            attempt=self.study.log.attempts(trial.number) + 1,
            weights_path=self.study.folder.weights_path(trial.number),
            keep_below=keep_below,
            checkpoint_dir=self.study.folder.checkpoint_dir(trial.number),
            code=self.study.log.facts().get("code", {}),
        )

    def record(self, event: Event) -> None:
        """Write what a worker said; epochs in batches, an end at once."""
        log = self.study.log
        match event:
            case Started():
                with log.atomic():
                    log.append_start(event)
            case EpochEnded():
                self.epochs.append(event)
                if time.monotonic() - self.flushed_at > _EPOCHS_WAIT_S:
                    self.flush()
            case Ended(number=number, outcome=outcome):
                with log.atomic():
                    log.append_epochs(self.epochs)
                    log.append_result(event)
                    log.set_fact("elapsed_s", self.elapsed_s)
                self.epochs, self.flushed_at = [], time.monotonic()
                trial = self.running.pop(number)
                self.unended.discard(number)
                self.trials[number] = Trial(number, trial.parameters, trial.seed, outcome.state, outcome)
                self._crown(self.trials[number])
                self._log_end(event)

    def flush(self) -> None:
        """Write the epochs that wait, and the time that has gone."""
        with self.study.log.atomic():
            self.study.log.append_epochs(self.epochs)
            self.study.log.set_fact("elapsed_s", self.elapsed_s)
        self.epochs = []
        self.flushed_at = time.monotonic()

    def publish_if_due(self) -> None:
        """Rewrite the table now and then, less often the longer it takes."""
        now = time.monotonic()
        if now - self.published_at > max(_PUBLISH_WAIT_S, self.publishing_s / _PUBLISH_SHARE):
            publish(self.study, list(self.trials.values()))
            self.published_at = time.monotonic()
            self.publishing_s = self.published_at - now

    def _crown(self, trial: Trial) -> None:
        """Note the best trial so far; only its weights are kept, and they are safe before others go."""
        contenders = [trial] if self.leader is None else [self.leader, trial]
        self.leader = best(contenders, self.study.spec.objective)
        for surpassed in contenders:
            if self.leader is None or surpassed.number != self.leader.number:
                self.study.folder.weights_path(surpassed.number).unlink(missing_ok=True)

    def _log_end(self, event: Ended) -> None:
        outcome = event.outcome
        record = {
            "trial": event.number,
            "state": outcome.state.value,
            "score": outcome.score,
            "seconds": outcome.seconds,
        }
        if outcome.failure is not None:
            failure = outcome.failure
            record |= {"kind": failure.kind.value, "cause": failure.cause, "traceback": failure.traceback}
        self.study.folder.append_log(record)


def observations(trials: Mapping[int, Trial], last_seen: int, sign: float) -> list[Observation]:
    """The record as a sampler may see it: results of trials numbered above ``last_seen`` are pending to it."""
    seen = []
    for number in sorted(trials):
        trial = trials[number]
        if number > last_seen or trial.outcome is None:
            seen.append(Observation(number, trial.parameters, State.WAITING))
            continue
        score = trial.outcome.score if trial.state is not State.FAILED else None
        seen.append(
            Observation(number, trial.parameters, trial.state, None if score is None else sign * score)
        )
    return seen
