"""Trains fresh runs of recorded trials on an engine: jobs like a sweep's, without checkpoints and without a pruner.

A run that is cut off leaves nothing that a later one uses: it is trained again from its start, and ends with the same
bits. Knows no statistics.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from tunecli import failpoints
from tunecli.config.concrete_trial import trial_models
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.schema import TrialConfig
from tunecli.config.surroundings import TRIAL
from tunecli.engine.protocol import WAIT_S, Engine
from tunecli.messages import Ended, EpochEnded, Event, Job, Started, Stopped
from tunecli.study.record.lifecycle import Study
from tunecli.study.runner.jobs import is_tried_again, job_for, micro_batches
from tunecli.study.runner.notices import Notices
from tunecli.study.runner.result_so_far import kept
from tunecli.study.runner.waiting_jobs import WaitingJobs, waiting_job
from tunecli.trial import FailedAttempt, Failure, FailureKind, FreshRun, Outcome, State, Trial

NUMBERS_FROM = 1_000_000
"""A run's job has the number of its trial plus a multiple of this: so it differs from the numbers of all trials."""

_STOP_WAIT_S = 10.0  # after a signal, for running jobs to reach the end of an epoch
_Key = int


def job_number(run: FreshRun) -> int:
    """The number of a run's job, which the user's own code sees as the number of its trial."""
    return run.number + NUMBERS_FROM * (run.repeat + 1)


def fresh_job(study: Study, trial: Trial, run: FreshRun, code: Mapping[str, str]) -> Job:
    """The job of a fresh run: that of its trial with the run's own seed and files.

    Args:
        study: the study.
        trial: the trial that is trained again.
        run: the run.
        code: SHA-256 of the user's own files, as on record.

    Raises:
        DanglingReferenceError: a ``ref`` of the trial points to a parameter that the trial does not have.
    """
    job, folder, settings = job_for(study.spec, study.plan, trial), study.folder, study.spec.settings.run
    task = replace(job.task, seed=run.seed, open_test=run.opening > 0, code=dict(code))
    if run.split_seed is not None:
        task = replace(task, study_seed=run.split_seed)
    own_folder = folder.fresh_trial_dir(run.number, run.repeat) if settings.cwd == TRIAL else None
    files = replace(
        job.files,
        trial_dir=str(own_folder.absolute()) if own_folder else "",
        log_path=str(folder.fresh_log_path(run.number, run.repeat).absolute()),
        log_limit_bytes=settings.log_limit,
    )
    return replace(job, number=job_number(run), task=task, files=files)


class FreshQueue:
    """Fresh runs that wait for a worker or are with one.

    Attributes:
        running: the runs that are with a worker, by the number of their job.
    """

    def __init__(
        self, study: Study, engine: Engine, runs: Sequence[FreshRun], trials: Mapping[int, Trial]
    ) -> None:
        """Prepare the jobs.

        Args:
            study: the study, held by this process.
            engine: where the runs are trained.
            runs: the runs to train.
            trials: the trials of these runs, by number.
        """
        self._study, self._engine, self._trials = study, engine, trials
        self._code: Mapping[str, str] = study.log.facts().get("code", {})
        self._runs = {job_number(run): run for run in runs}
        self._failed: dict[_Key, list[FailedAttempt]] = {key: [] for key in self._runs}
        self._epochs: dict[_Key, list[EpochEnded]] = {key: [] for key in self._runs}
        self._jobs: dict[_Key, Job] = {}
        self._hosts: dict[_Key, str] = {}
        self._waiting = WaitingJobs()
        self._ended: list[FreshRun] = []
        self.running: set[_Key] = set()
        for key in self._runs:
            self._remove_leftovers(key)
            self._add(key)

    @property
    def is_empty(self) -> bool:
        """Whether every run has ended."""
        return not self._waiting and not self.running and not self._ended

    def hand_out(self) -> None:
        """Give every idle worker a job, or jobs that share a model."""
        width = max(1, self._study.plan.fuse)
        while self._engine.n_idle and self._waiting:
            group = self._waiting.take_group(self._engine.n_idle, width)
            failpoints.reach("dispatch")
            self._engine.submit(*(waiting.job for waiting in group))
            self.running |= {waiting.job.number for waiting in group}

    def record_events(self) -> list[FreshRun]:
        """Wait for events, and record the runs that ended.

        Returns:
            These runs, each with its outcome and machine.

        Raises:
            DiskFull, StoreFailed: the disk refuses the record, or a file of a run.
        """
        try:
            for event in self._engine.events(WAIT_S):
                self._handle(event)
        finally:  # if a worker reports a full disk, the ends before that report are still recorded
            ended, self._ended = self._ended, []
            if ended:
                self._study.log.append_fresh_results(ended)
        return ended

    def put_back(self) -> None:
        """Empty the queue; a later `confirm` trains its runs."""
        self._waiting.clear()

    def _handle(self, event: Event) -> None:
        key = event.number
        match event:
            case Started(host=host):
                self._hosts[key] = host
            case EpochEnded():
                self._epochs[key].append(event)
            case Stopped(cause=cause):  # by a signal, or since another run of its group failed
                self.running.discard(key)
                self._try_again(key, Failure(FailureKind.INTERRUPTED, cause))
            case Ended():
                self.running.discard(key)
                failure = event.outcome.failure
                if failure is not None and failure.kind is FailureKind.TIMEOUT and self._is_kept:
                    event = kept(event, failure, self._jobs[key], self._epochs[key])
                    failure = event.outcome.failure
                if failure is not None and self._is_tried_again(key, failure):
                    self._try_again(key, failure)
                else:
                    self._end(key, event.outcome)

    @property
    def _is_kept(self) -> bool:
        return self._study.spec.settings.run.on_failure.timeout == "keep"

    def _end(self, key: _Key, outcome: Outcome) -> None:
        outcome = replace(outcome, weights_sha256="")
        self._ended.append(replace(self._runs[key], outcome=outcome, host=self._hosts.get(key, "")))

    def _try_again(self, key: _Key, failure: Failure) -> None:
        self._failed[key].append(FailedAttempt(key, len(self._failed[key]) + 1, failure))
        self._epochs[key] = []
        self._add(key)

    def _is_tried_again(self, key: _Key, failure: Failure) -> bool:
        policy = self._study.spec.settings.run.on_failure
        is_split = policy.of(failure.kind) == "split"
        failed = [*(self._splits(key) if is_split else ()), *self._failed[key]]
        can_split = trial_models(self._study.spec.space.tree) == {TrialConfig}
        return is_tried_again(policy, failure, failed, can_split=can_split)

    def _splits(self, key: _Key) -> list[FailedAttempt]:
        """The attempts at the trial itself that lacked memory: its batches were split as often."""
        earlier = self._study.log.failed_attempts(self._runs[key].number)
        return [one for one in earlier if one.failure.kind is FailureKind.OOM]

    def _add(self, key: _Key) -> None:
        """Make the next job of a run; a trial whose choices make no job ends as failed."""
        run, failed = self._runs[key], self._failed[key]
        try:
            job = fresh_job(self._study, self._trials[run.number], run, self._code)
        except DanglingReferenceError as error:
            failure = Failure(FailureKind.ERROR, error.message)
            self._end(key, Outcome(State.FAILED, failure=failure))
            return
        n_parts = micro_batches(self._study.spec.settings.run.on_failure, [*self._splits(key), *failed])
        job = replace(job, attempt=len(failed) + 1, execution=replace(job.execution, micro_batches=n_parts))
        self._jobs[key] = job
        self._waiting.add(waiting_job(job, is_alone=bool(failed)))

    def _remove_leftovers(self, key: _Key) -> None:
        """Remove the files of an attempt that was killed: this one begins anew."""
        run, folder = self._runs[key], self._study.folder
        shutil.rmtree(folder.fresh_trial_dir(run.number, run.repeat), ignore_errors=True)
        with suppress(OSError):
            folder.fresh_log_path(run.number, run.repeat).unlink(missing_ok=True)


def train(
    queue: FreshQueue,
    engine: Engine,
    received: Sequence[int],
    on_ended: Callable[[FreshRun], None],
    on_notice: Callable[[str], None] = lambda _: None,
) -> None:
    """Train the runs of a queue until all have ended, or until a signal comes.

    Args:
        queue: the runs.
        engine: the engine of the queue.
        received: the signals that have come. After the first one no run begins, and the running ones have a few seconds
            to stop.
        on_ended: called with each run once its end is on record.
        on_notice: called with each new notice of the engine.

    Raises:
        ClusterGone: the machines of the engine are lost. Runs that ended are on record.
        DiskFull, StoreFailed: the disk refuses a write.
    """
    deadline_s: float | None = None
    notices = Notices(engine)
    while not queue.is_empty:
        if received:
            if deadline_s is None:
                engine.stop()
                deadline_s = time.monotonic() + _STOP_WAIT_S
            queue.put_back()
            if not queue.running or time.monotonic() > deadline_s:
                return
        else:
            queue.hand_out()
        for run in queue.record_events():
            on_ended(run)
        if notices.have_changed():
            for notice in notices.new:
                on_notice(notice)
