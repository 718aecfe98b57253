"""What is under way: a mirror of the record, and the only writer of it while a sweep runs (law 2).

Owns what follows from each event; `ledger` writes it in the order that makes a crash harmless (law 7). Everything here
can be had from the log again; what only this process knows is clocks. Knows no engine.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from tunecli.config.concrete_trial import concrete, trial_models
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.messages import (
    Checkpointed,
    Ended,
    EpochEnded,
    Event,
    Job,
    Paused,
    ResumePoint,
    Started,
    Stopped,
)
from tunecli.registry.pruners import is_pausing
from tunecli.results.ranking import leading
from tunecli.search.protocols import suggest
from tunecli.study.plan.jobs import checkpoint_epochs, job_for, trial_seed
from tunecli.study.record.facts import facts_of
from tunecli.study.record.history import History
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.publish import publish
from tunecli.study.record.versions import versions
from tunecli.study.runner.cleanup import tidy
from tunecli.study.runner.learning_curves import Curves
from tunecli.study.runner.pause_schedule import PauseSchedule
from tunecli.study.runner.record_writer import RecordWriter
from tunecli.study.runner.recovered import recover
from tunecli.study.runner.retries import fail_alike, is_tried_again, keep_below, micro_batches, spent_by
from tunecli.study.runner.stopping_rule import StoppingRule
from tunecli.trial import (
    Checkpoint,
    FailedAttempt,
    Failure,
    FailureKind,
    Observation,
    Parameters,
    State,
    Trial,
)

_GENERATIONS = 2  # of checkpoints: the newest may turn out to be damaged
_PUBLISH_WAIT_S = 2.0
_PUBLISH_SHARE = 0.01  # of the sweep's time, at most, goes into rewriting the table


class Coordinator:
    """A study under way.

    Attributes:
        trials: every trial by number, as the log has them.
        running: those that a worker has.
    """

    def __init__(self, study: Study) -> None:
        """Read the record, put in order what a crash left, and note that this process goes on with it.

        Raises:
            DiskFull, StoreFailed: the disk refuses to be written to.
        """
        self._study, self._log = study, study.log
        self.trials = {trial.number: trial for trial in self._log.trials()}
        self.running: dict[int, Trial] = {}
        unended = [trial for trial in self.trials.values() if trial.outcome is None]
        pruner = study.spec.settings.search.pruner
        self._steps = PauseSchedule(study.spec, pruner, self._log) if is_pausing(pruner) else None
        self._standstill = StoppingRule(study.spec, study.plan.lookahead)
        self._queued = deque(sorted(unended, key=self._turn))
        self._unended = {trial.number for trial in unended}
        self._setbacks = {number: self._log.failed_attempts(number) for number in self._unended}
        self._checkpoints = {number: self._log.checkpoints(number) for number in self._unended}
        self._leaders = leading(self.trials.values(), study.spec.objective)
        self._curves = Curves(study.spec, self._log, self.trials)
        self._seen = History(self.trials.values(), study.spec.objective)
        facts = facts_of(self._log)
        self._code: Mapping[str, str] = facts["code"]
        self._published_at, self._publishing_s = time.monotonic(), 0.0
        self._tidy()
        with self._log.atomic():
            session = self._log.append_session(versions(plug_ins_of(study.spec)))
            self._log.set_fact("ending", "")  # all trials may have ended or paused, and yet the study goes on
        self._ledger = RecordWriter(self._log, study.folder, session, float(facts["elapsed_s"]))

    @property
    def n_ended(self) -> int:
        """How many trials have ended."""
        return len(self.trials) - len(self._unended)

    @property
    def has_queued(self) -> bool:
        """Whether trials on record wait to be run."""
        return bool(self._queued)

    @property
    def is_out_of_time(self) -> bool:
        """Whether ``run.limit.time`` is spent, over all the times that the study was run."""
        limit_s = self._study.spec.settings.run.limit.time
        return limit_s is not None and self._ledger.elapsed_s >= limit_s

    @contextmanager
    def together(self) -> Iterator[None]:
        """Whatever is suggested and recorded in the block is on record at its end, in one commit.

        Raises:
            DiskFull, StoreFailed: it is not, and this process is not to go on.
        """
        with self._ledger.together():
            yield

    def next_trial(self) -> tuple[Trial | None, str]:
        """The next trial to dispatch, or None and the reason why there will be none; no reason: wait."""
        if self.is_out_of_time:
            return None, "time"
        if self._queued:
            trial = self._queued.popleft()
            self.running[trial.number] = trial
            return trial, ""
        if self._steps is not None:
            return self._next_step(self._steps)
        number, plan = len(self.trials), self._study.plan
        if number >= plan.n_trials:
            return None, "complete"
        if self._unended and min(self._unended) <= number - plan.lookahead:
            return None, ""
        if reason := self._spent(number - plan.lookahead) or self._standstill.reason(self.trials, number):
            return None, reason
        suggested = self._suggested(number)
        if suggested is None:
            return None, "exhausted"
        self.trials[number] = self.running[number] = suggested
        self._seen.add(suggested)
        self._unended.add(number)
        return suggested, ""

    def is_alone(self, number: int) -> bool:
        """Whether no other is to be trained together with a trial: an attempt at it failed."""
        return bool(self._setbacks.get(number))

    def put_back(self, numbers: Iterable[int]) -> None:
        """Let trials wait that were to be dispatched and were not."""
        for number in sorted(numbers, reverse=True):
            self._queued.appendleft(self.running.pop(number))

    def job_for(self, trial: Trial) -> Job:
        """What a worker needs to run the trial now, from its last checkpoint on where it has one.

        Raises:
            DanglingReferenceError: there is no such trial to run.
        """
        study, number = self._study, trial.number
        run, folder, checkpoints = study.spec.settings.run, study.folder, self._checkpoints.get(number, ())
        job = job_for(study.spec, study.plan, trial, weights_path=folder.weights_path(number))
        step = None if self._steps is None else self._steps.last(number)
        bounds = self._curves.stop_bounds(number - study.plan.lookahead)
        reports_path = folder.reports_path(number) if self._is_own(trial) else None
        recorded = recover(self._log, self._ledger, reports_path, number) if reports_path else ()
        files = replace(
            job.files,
            keep_below=keep_below(self._leaders, study.spec.objective),
            checkpoint_dir=str(folder.checkpoint_dir(number).absolute()),
            checkpoints_path=str(folder.checkpoints_path.absolute())
            if step or run.checkpoint != "off"
            else "",
            checkpoint_epochs=checkpoint_epochs(study.spec),
            reports_path=str(reports_path.absolute()) if reports_path else "",
        )
        limit_s = job.limits.time_s
        limits = replace(
            job.limits,
            time_s=None if limit_s is None else max(0.0, limit_s - self._spent_s(number, checkpoints)),
            stop_above=tuple(bounds.losses),
            stop_epochs=tuple(bounds.epochs),
            until_epoch=step.until_epoch if step else None,
        )
        parts = micro_batches(run.on_failure, self._setbacks.get(number, []))
        return replace(
            job,
            attempt=self._log.attempts(number) + 1,
            task=replace(job.task, code=dict(self._code)),
            files=files,
            limits=limits,
            resume=ResumePoint(
                tuple(checkpoints),
                tuple((epoch.epoch, epoch.metrics) for epoch in recorded),
                recorded[-1].epoch_offset if recorded else None,
            ),
            execution=replace(job.execution, micro_batches=parts),
        )

    def _is_own(self, trial: Trial) -> bool:
        """Whether the user's own function or command trains it."""
        return trial_model(concrete(self._study.spec.space, trial.parameters)) is not TrialConfig

    def record(self, events: Sequence[Event]) -> list[Event | FailedAttempt]:
        """Write what workers said: starts and epochs now and then, all else at once.

        Returns:
            The events, or the setbacks that they are where a trial is tried again.
        """
        if all(isinstance(event, Started | EpochEnded) for event in events):
            return [self._recorded(event) for event in events]
        with self.together():
            return [self._recorded(event) for event in events]

    def flush(self) -> None:
        """Write the starts and epochs that wait, and the time that has gone, unless the disk has refused a commit."""
        if not self._ledger.is_torn:
            with self.together():
                self._ledger.settle()

    def publish(self) -> None:
        """Rewrite the table, unless this process knows of more than the record does."""
        if not self._ledger.is_torn:
            publish(self._study, list(self.trials.values()))

    def tidy(self) -> None:
        """Remove the checkpoints of workers that were killed before they told of them, unless as `publish` says."""
        if not self._ledger.is_torn:
            self._tidy()

    def tend(self) -> None:
        """Write what has waited long enough; rewrite the table now and then, less often the longer it takes."""
        self._ledger.flush_if_due()
        now = time.monotonic()
        if now - self._published_at > max(_PUBLISH_WAIT_S, self._publishing_s / _PUBLISH_SHARE):
            self.publish()
            self._published_at = time.monotonic()
            self._publishing_s = self._published_at - now

    def _tidy(self) -> None:
        tidy(self._study.folder, self._log.all_checkpoint_names(), self.trials.values(), self._leaders)

    def _spent(self, last_seen: int) -> str:
        """Which total is spent, as far as the trials up to ``last_seen`` tell; empty where none is."""
        limit = self._study.spec.settings.run.limit
        if limit.trials is not None and len(self.trials) >= limit.trials:
            return "trials"
        seen = (self.trials[number].outcome for number in range(last_seen + 1))
        if fail_alike(limit, (outcome.failure if outcome else None for outcome in seen)):
            return "alike"
        if limit.epochs is None and not limit.failures:
            return ""
        ended = [trial for trial in self.trials.values() if trial.outcome and trial.number <= last_seen]
        n_epochs = sum(trial.outcome.epochs for trial in ended if trial.outcome)
        return spent_by(limit, n_epochs, sum(trial.state is State.FAILED for trial in ended))

    def _suggested(self, number: int) -> Trial | None:
        trial = self._new_trial(number, None, self._seen.up_to(number - self._study.plan.lookahead))
        if trial is not None:
            with self.together():
                self._ledger.writing().append_suggestion(trial)
        return trial

    def _new_trial(
        self, number: int, point: Parameters | None, history: Sequence[Observation]
    ) -> Trial | None:
        spec, settings = self._study.spec, self._study.spec.settings
        search = settings.search
        point = point or suggest(
            search.sampler_name, spec.space, history, number, settings.seed, search.sampler_settings
        )
        return None if point is None else Trial(number, point, trial_seed(spec, number, point))

    def _turn(self, trial: Trial) -> int:
        """Its place among what a crash left."""
        step = None if self._steps is None else self._steps.last(trial.number)
        return trial.number if step is None else step.step

    def _next_step(self, steps: PauseSchedule) -> tuple[Trial | None, str]:
        """The trial of the next step, which is recorded; or None and why there is none, as `next_trial` has it."""
        limit, lookahead = self._study.spec.settings.run.limit, self._study.plan.lookahead
        n_trials = min(self._study.plan.n_trials, math.inf if limit.trials is None else limit.trials)
        is_spent = partial(spent_by, limit)
        taken, reason = steps.next(self.trials, lookahead, n_trials, is_spent, self._new_trial)
        if taken is None:
            is_cut = reason == "complete" and n_trials < self._study.plan.n_trials
            return None, "trials" if is_cut else reason
        step, trial = taken
        with self.together():
            if trial.number not in self.trials:
                self._ledger.writing().append_suggestion(trial)
            self._ledger.writing().append_step(step)
        steps.add(step)
        trial = Trial(trial.number, trial.parameters, trial.seed)
        self.trials[trial.number] = self.running[trial.number] = trial
        self._unended.add(trial.number)
        self._setbacks[trial.number] = self._log.failed_attempts(trial.number)
        self._checkpoints[trial.number] = self._log.checkpoints(trial.number)
        for number in steps.newly_given_up(self.trials):
            self._remove(self._log.checkpoints(number))
        return trial, ""

    def _spent_s(self, number: int, checkpoints: Sequence[Checkpoint]) -> float:
        """How long the trial trained up to where it goes on from."""
        if not checkpoints:
            return 0.0
        return sum(each.seconds for each in self._log.epochs(number) if each.epoch <= checkpoints[0].epoch)

    def _is_tried_again(self, number: int, failure: Failure) -> bool:
        return is_tried_again(
            self._study.spec.settings.run.on_failure,
            failure,
            self._setbacks.get(number, []),
            can_split=trial_models(self._study.spec.space.tree) == {TrialConfig},
        )

    def _recorded(self, event: Event) -> Event | FailedAttempt:
        match event:
            case Started():
                self._ledger.start(event)
            case EpochEnded():
                self._ledger.epoch(event)
            case Checkpointed():
                self._checkpointed(event)
            case Stopped(number=number, attempt=attempt, cause=cause):
                return self._set_back(FailedAttempt(number, attempt, Failure(FailureKind.INTERRUPTED, cause)))
            case Paused():
                self._pause(event)
            case Ended(number=number, attempt=attempt, outcome=outcome):
                if outcome.failure is not None and self._is_tried_again(number, outcome.failure):
                    return self._set_back(FailedAttempt(number, attempt, outcome.failure))
                self._end(event)
        return event

    def _checkpointed(self, event: Checkpointed) -> None:
        """Note where a trial can go on from; what it could before the last two goes only then."""
        self._ledger.settle()
        self._ledger.writing().append_checkpoint(event)
        known = (event.checkpoint, *self._checkpoints.get(event.number, ()))
        self._checkpoints[event.number] = known[:_GENERATIONS]
        self._remove(known[_GENERATIONS:])

    def _set_back(self, setback: FailedAttempt) -> FailedAttempt:
        """Note an attempt's end, and queue its trial again, before all that are not made ready yet."""
        self._ledger.settle()
        self._ledger.writing().append_failed_attempt(setback)
        self._queued.appendleft(self.running.pop(setback.number))
        self._setbacks.setdefault(setback.number, []).append(setback)
        self._ledger.note({"trial": setback.number, "attempt": setback.attempt}, setback.failure)
        return setback

    def _pause(self, event: Paused) -> None:
        """Note how a step ended; what its trial goes on from stays, in one generation: else it begins anew."""
        number, outcome = event.number, event.outcome
        assert self._steps is not None
        self._ledger.settle()
        self._ledger.writing().append_pause(event, self._steps.paused(number, outcome))
        trial = self.running.pop(number)
        self._unended.discard(number)
        self.trials[number] = Trial(number, trial.parameters, trial.seed, State.PAUSED, outcome)
        self._remove(self._checkpoints.pop(number, ())[1:])
        self._drop_reports(number)
        self._ledger.note(
            {"trial": number, "state": "paused", "score": outcome.score, "epochs": outcome.epochs}
        )

    def conclude(self, reason: str) -> None:
        """The sweep came to its end: what paused is not gone on with, unless the total is raised, from its start."""
        with self.together():
            if reason in ("complete", "exhausted"):
                for number, trial in self.trials.items():
                    if trial.state is State.PAUSED:
                        self._remove(self._log.checkpoints(number))
            self._ledger.writing().set_fact("ending", reason)

    def _end(self, event: Ended) -> None:
        number, outcome = event.number, event.outcome
        self._ledger.settle()
        self._ledger.writing().append_result(event)
        trial = self.running.pop(number)
        self._unended.discard(number)
        self.trials[number] = ended = Trial(number, trial.parameters, trial.seed, outcome.state, outcome)
        self._seen.add(ended)
        self._remove(self._checkpoints.pop(number, ()))
        self._drop_reports(number)
        self._setbacks.pop(number, None)
        if outcome.state is State.COMPLETE:
            self._curves.add(number)
        self._crown(ended)
        record = {"trial": number, "state": outcome.state.value, "score": outcome.score}
        if event.note:
            self._ledger.note({"trial": number, "note": event.note})
        self._ledger.note({**record, "seconds": outcome.seconds}, outcome.failure)

    def _crown(self, trial: Trial) -> None:
        """Note who leads; only their weights are kept, and those are safe before others go."""
        contenders = [*self._leaders, trial]
        self._leaders = leading(contenders, self._study.spec.objective)
        kept = {leader.number for leader in self._leaders}
        for surpassed in contenders:
            if surpassed.number not in kept:
                self._ledger.drop(self._study.folder.weights_path(surpassed.number))

    def _drop_reports(self, number: int) -> None:
        """What the user's own reported is on record: the file that kept it goes."""
        if (path := self._study.folder.reports_path(number)).exists():
            self._ledger.drop(path)

    def _remove(self, checkpoints: Sequence[Checkpoint]) -> None:
        for checkpoint in checkpoints:
            self._ledger.drop(self._study.folder.checkpoints_path / checkpoint.name)
