"""The coordinator of a sweep: it holds the record in memory, decides which trial comes next, and records each event.

It is the only writer of the record while a sweep runs (one-writer), through `RecordWriter`. Its whole state, apart from
clocks, can be read from the log again (record-is-the-state). It does not know which engine runs the trials.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from tunecli.engine.protocol import Host
from tunecli.messages import Checkpointed, Ended, EpochEnded, Event, Job, Paused, Started, Stopped
from tunecli.registry.pruners import is_pausing
from tunecli.results.ranking import leading
from tunecli.search.draws import start_point
from tunecli.store.stop_requests import remove_requests, request_path, requested_stops
from tunecli.study.record.facts import facts_of
from tunecli.study.record.history import History, LearningCurves
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.phase import EndReason
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.publish import publish
from tunecli.study.record.suggestions import suggested_point
from tunecli.study.record.versions import versions
from tunecli.study.runner.jobs import Attempts, job_for, trial_seed
from tunecli.study.runner.pause_schedule import PauseSchedule
from tunecli.study.runner.record_writer import KeptFiles, RecordWriter, remove_superfluous
from tunecli.study.runner.result_so_far import kept, pruned
from tunecli.study.runner.stopping_rule import StoppingRule, spent_by
from tunecli.trial import FailedAttempt, Failure, FailureKind, Observation, Parameters, State, Trial

_PUBLISH_WAIT_S = 2.0  # between two rewrites of the table, at least
_LOOK_WAIT_S = 0.2  # between two looks for requests
_PUBLISH_SHARE = 0.01  # the largest share of the sweep's time that goes into rewriting the table


class Coordinator:
    """A sweep under way.

    Attributes:
        trials: every trial by number, as the log has them.
        running: the trials that are in the job queue or with a worker.
    """

    def __init__(self, study: Study) -> None:
        """Read the record, remove files that a crash left, and begin a session.

        Raises:
            DiskFull, StoreFailed: the disk refuses to be written to.
        """
        self._study, self._log = study, study.log
        self.trials = {trial.number: trial for trial in self._log.trials()}
        self.running: dict[int, Trial] = {}
        unended = [trial for trial in self.trials.values() if trial.outcome is None]
        pruner, objective = study.spec.settings.search.pruner, study.spec.objective
        self._schedule = PauseSchedule(study.spec, pruner, self._log) if is_pausing(pruner) else None
        self._stopping_rule = StoppingRule(study.spec, study.plan.lookahead)
        self._queued = deque(sorted(unended, key=self._position))
        self._unended = {trial.number for trial in unended}
        self._n_settled = 0  # the trials up to here are known to have ended
        facts = facts_of(self._log)
        self._attempts = Attempts(study, facts["code"], self._unended)
        leaders = leading(self.trials.values(), objective)
        self._curves = LearningCurves(study.spec, self._log, self.trials)
        self._history = History(self.trials.values(), objective)
        self._published_at, self._publishing_s = time.monotonic(), 0.0
        remove_superfluous(study.folder, self._log.all_checkpoint_names(), self.trials.values(), leaders)
        self._versions, self._known_hosts = versions(plug_ins_of(study.spec)), {""}
        with self._log.atomic():
            session = self._log.append_session(self._versions)
            # Clears the reason for which an earlier session ended: the study goes on, even if every trial on record
            # has ended or paused.
            self._log.set_fact("ending", "")
            if facts["notices"]:
                self._log.set_fact("notices", [])
        remove_requests(study.folder.path)
        self._looked_at = time.monotonic()
        self._writer = RecordWriter(self._log, study.folder, session, float(facts["elapsed_s"]))
        self._files = KeptFiles(study.folder, objective, self._writer, leaders)

    @property
    def n_ended(self) -> int:
        """Number of trials that have ended."""
        return len(self.trials) - len(self._unended)

    @property
    def has_queued(self) -> bool:
        """Whether recorded trials wait to be run."""
        return bool(self._queued)

    @property
    def is_out_of_time(self) -> bool:
        """Whether ``run.limit.time`` is spent, over all sessions of the study."""
        limit_s = self._study.spec.settings.run.limit.time
        return limit_s is not None and self._writer.elapsed_s >= limit_s

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Commit everything that the block suggests and records in one transaction.

        Raises:
            DiskFull, StoreFailed: nothing is committed, and this process must end.
        """
        with self._writer.atomic():
            yield

    # The next trial

    def next_trial(self) -> Trial | EndReason | None:
        """The next trial to run, which is now on record; why no trial is left; or None if a result must come first."""
        if self.is_out_of_time:
            return EndReason.TIME
        if self._queued:
            trial = self._queued.popleft()
            self.running[trial.number] = trial
            return trial
        if self._schedule is not None:
            return self._next_step(self._schedule)
        number, plan = len(self.trials), self._study.plan
        last_seen = number - plan.lookahead
        if number >= plan.n_trials:
            return EndReason.COMPLETE
        if not self._have_ended(last_seen):
            return None
        if reason := self._stopping_rule.reason(self.trials, number):
            return reason
        suggested = self._suggest(number, None, self._history.up_to(last_seen))
        if suggested is None:
            return EndReason.EXHAUSTED
        with self.atomic():
            self._writer.log_to_write().append_suggestion(suggested)
        self.trials[number] = self.running[number] = suggested
        self._history.add(suggested)
        self._unended.add(number)
        return suggested

    def _have_ended(self, last_seen: int) -> bool:
        """Whether all trials up to ``last_seen`` have ended; for studies whose trials do not pause."""
        # None of them runs again, so each call goes on where the last one stopped.
        while self._n_settled <= last_seen and self._n_settled not in self._unended:
            self._n_settled += 1
        return self._n_settled > last_seen

    def _next_step(self, schedule: PauseSchedule) -> Trial | EndReason | None:
        """The trial of the next step of a study whose trials pause, as `next_trial` returns it."""
        limit, plan = self._study.spec.settings.run.limit, self._study.plan
        n_trials = min(plan.n_trials, math.inf if limit.trials is None else limit.trials)
        taken = schedule.next(self.trials, plan.lookahead, n_trials, partial(spent_by, limit), self._suggest)
        if taken is None or isinstance(taken, EndReason):
            is_limited = taken is EndReason.COMPLETE and n_trials < plan.n_trials
            return EndReason.TRIALS if is_limited else taken
        step, trial = taken
        with self.atomic():
            if trial.number not in self.trials:
                self._writer.log_to_write().append_suggestion(trial)
            self._writer.log_to_write().append_step(step)
        schedule.add(step)
        trial = Trial(trial.number, trial.parameters, trial.seed)
        self.trials[trial.number] = self.running[trial.number] = trial
        self._unended.add(trial.number)
        self._attempts.begin(trial.number)
        for number in schedule.newly_discarded(self.trials):
            self._files.drop_checkpoints(self._log.checkpoints(number))
        return trial

    def _suggest(self, number: int, point: Parameters | None, history: Sequence[Observation]) -> Trial | None:
        """Trial ``number`` at ``point``, or where the sampler suggests it; None if the space has no further point.

        A point of `search.start` that was not tried yet comes before both.
        """
        spec = self._study.spec
        point = (
            start_point(spec.space, history)
            or point
            or suggested_point(spec, history, number, self._study.plan.n_trials)
        )
        return None if point is None else Trial(number, point, trial_seed(spec, number, point))

    def _position(self, trial: Trial) -> int:
        """Sort key of an unfinished trial in the queue: its number, or if trials pause the index of its last step."""
        step = None if self._schedule is None else self._schedule.last_step(trial.number)
        return trial.number if step is None else step.step

    def put_back(self, numbers: Iterable[int]) -> None:
        """Put the trials whose jobs no worker got back into the queue."""
        for number in sorted(numbers, reverse=True):
            self._queued.appendleft(self.running.pop(number))

    def job_for(self, trial: Trial) -> Job:
        """The job of the trial's next attempt; call it in a block of `atomic`.

        Raises:
            DanglingReferenceError: a ``ref`` of the trial points to a parameter that the trial does not have.
        """
        return self._attempts.next_job(
            trial,
            self._writer,
            step=None if self._schedule is None else self._schedule.last_step(trial.number),
            bounds=self._curves.stop_bounds(trial.number - self._study.plan.lookahead),
            keep_below=self._files.keep_below,
        )

    def has_failed_attempt(self, number: int) -> bool:
        """Whether an attempt at the trial has failed; such a trial is trained alone."""
        return self._attempts.has_failed(number)

    # Events

    def record(self, events: Sequence[Event]) -> list[Event | FailedAttempt]:
        """Record the workers' events: starts and epochs with the next commit, all others now.

        Returns:
            The events. The end of a trial that is tried again is replaced by the failed attempt.
        """
        if all(isinstance(event, Started | EpochEnded) for event in events):
            return [self._record(event) for event in events]
        with self.atomic():
            return [self._record(event) for event in events]

    def has_new_host(self, events: Iterable[Event | FailedAttempt]) -> bool:
        """Whether an attempt started on a machine that `note_hosts` has not recorded."""
        return any(isinstance(event, Started) and event.host not in self._known_hosts for event in events)

    def note_hosts(self, hosts: Iterable[Host]) -> None:
        """Record the versions of machines, each once, where they differ from those of this session."""
        with self.atomic():
            for host in hosts:
                if host.name in self._known_hosts or not host.versions:
                    continue
                self._known_hosts.add(host.name)
                if any(
                    self._versions.get(name, version) != version for name, version in host.versions.items()
                ):
                    self._writer.host(host.name, host.versions)

    def _record(self, event: Event) -> Event | FailedAttempt:
        match event:
            case Started():
                self._writer.start(event)
            case EpochEnded():
                self._writer.epoch(event)
            case Checkpointed():
                self._add_checkpoint(event)
            case Stopped(number=number, attempt=attempt, cause=cause):
                failure = Failure(FailureKind.INTERRUPTED, cause)
                return self._add_failed_attempt(FailedAttempt(number, attempt, failure))
            case Paused():
                self._pause(event)
            case Ended():
                event = self._with_result_so_far(event)
                number, attempt, failed = event.number, event.attempt, event.outcome.failure
                if failed is not None and self._attempts.is_tried_again(number, failed):
                    return self._add_failed_attempt(FailedAttempt(number, attempt, failed))
                self._end(event)
        return event

    def _with_result_so_far(self, event: Ended) -> Ended:
        """The end of a trial at a time limit: complete by its record, if the file says `keep`; or by hand."""
        failure = event.outcome.failure
        is_by_hand = event.outcome.state is State.PRUNED and event.ended_by is not None
        is_kept = self._study.spec.settings.run.on_failure.timeout == "keep"
        is_kept = is_kept and failure is not None and failure.kind is FailureKind.TIMEOUT
        if not is_kept and not is_by_hand:
            return event
        self._writer.settle()
        epochs = self._attempts.reported_epochs(event.number, self._writer)
        job = job_for(self._study.spec, self._study.plan, self.trials[event.number])
        return pruned(event, job, epochs) if failure is None else kept(event, failure, job, epochs)

    def _add_checkpoint(self, event: Checkpointed) -> None:
        self._writer.settle()
        self._writer.log_to_write().append_checkpoint(event)
        self._files.drop_checkpoints(self._attempts.add_checkpoint(event.number, event.checkpoint))

    def _add_failed_attempt(self, failed: FailedAttempt) -> FailedAttempt:
        """Record a failed attempt, and put its trial at the front of the queue."""
        self._writer.settle()
        self._writer.log_to_write().append_failed_attempt(failed)
        self._queued.appendleft(self.running.pop(failed.number))
        self._attempts.add_failed(failed)
        self._writer.note({"trial": failed.number, "attempt": failed.attempt}, failed.failure)
        return failed

    def _pause(self, event: Paused) -> None:
        """Record the end of a step. One checkpoint is kept: without it, the trial would start from its first epoch."""
        number, outcome = event.number, event.outcome
        assert self._schedule is not None
        self._writer.settle()
        self._writer.log_to_write().append_pause(event, self._schedule.pause(number, outcome))
        self._finish_running(number, State.PAUSED, event)
        self._files.drop_checkpoints(self._attempts.pause(number))
        self._files.drop_reports(number)
        self._writer.note(
            {"trial": number, "state": "paused", "score": outcome.score, "epochs": outcome.epochs}
        )

    def _end(self, event: Ended) -> None:
        number, outcome = event.number, event.outcome
        self._writer.settle()
        self._writer.log_to_write().append_result(event)
        if event.ended_by is not None:
            ended_early = FailedAttempt(number, event.attempt, event.ended_by)
            self._writer.log_to_write().append_failed_attempt(ended_early)
        ended = self._finish_running(number, outcome.state, event)
        self._history.add(ended)
        self._files.drop_checkpoints(self._attempts.end(number))
        self._files.drop_reports(number)
        if event.ended_by is not None:
            self._writer.drop(request_path(self._study.folder.path, number))
        if outcome.state is State.COMPLETE:
            self._curves.add(number)
        self._files.add(ended)
        if event.note:
            self._writer.note({"trial": number, "note": event.note})
        record = {"trial": number, "state": outcome.state.value, "score": outcome.score}
        if event.ended_by is not None:
            record["ended_by"] = event.ended_by.cause
        self._writer.note({**record, "seconds": outcome.seconds}, outcome.failure)

    def _finish_running(self, number: int, state: State, event: Paused | Ended) -> Trial:
        """Remove a trial from the running ones, and set its state and outcome."""
        trial = self.running.pop(number)
        self._unended.discard(number)
        self.trials[number] = Trial(number, trial.parameters, trial.seed, state, event.outcome)
        return self.trials[number]

    def requested_stops(self) -> list[int]:
        """The numbers of running trials that other processes want to end; looks a few times a second."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_WAIT_S:
            return []
        self._looked_at = now
        return sorted(requested_stops(self._study.folder.path) & self.running.keys())

    # The table, and the end of the sweep

    def note(self, notices: Sequence[str]) -> None:
        """Record the engine's notices soon, so that `status` shows them."""
        self._writer.notice(notices)

    def tend(self) -> None:
        """Commit buffered events and rewrite the table, each if it is due; a slow rewrite is due less often."""
        self._writer.flush_if_due()
        now = time.monotonic()
        if now - self._published_at > max(_PUBLISH_WAIT_S, self._publishing_s / _PUBLISH_SHARE):
            self.publish()
            self._published_at = time.monotonic()
            self._publishing_s = self._published_at - now

    def conclude(self, reason: EndReason) -> None:
        """Record why the sweep ended.

        If the sweep is complete, the checkpoints of paused trials are deleted. If the total is raised later, these
        trials are trained from their start.
        """
        with self.atomic():
            if reason in (EndReason.COMPLETE, EndReason.EXHAUSTED):
                for number, trial in self.trials.items():
                    if trial.state is State.PAUSED:
                        self._files.drop_checkpoints(self._log.checkpoints(number))
            self._writer.log_to_write().set_fact("ending", reason)

    def close(self) -> None:
        """Commit buffered events, rewrite the table, and remove superfluous files.

        Does nothing after a failed commit: memory then holds events that the record lacks.
        """
        with ExitStack() as stack:  # runs the last one first, and each of them even if another one fails
            stack.callback(self._remove_superfluous)
            stack.callback(self.publish)
            stack.callback(self._flush)

    def publish(self) -> None:
        """Rewrite results.csv and best.yaml; not after a failed commit."""
        if not self._writer.is_torn:
            publish(self._study, list(self.trials.values()))

    def _flush(self) -> None:
        if not self._writer.is_torn:
            with self.atomic():
                self._writer.settle()

    def _remove_superfluous(self) -> None:
        """Remove checkpoints that workers wrote and could not report because they were killed."""
        if not self._writer.is_torn:
            names = self._log.all_checkpoint_names()
            remove_superfluous(self._study.folder, names, self.trials.values(), self._files.leaders)
