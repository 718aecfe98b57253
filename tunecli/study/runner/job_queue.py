"""The jobs that wait for a worker: made while others train, grouped where they can share a model, handed to the engine.

A trial is on record before a worker gets it (write-ahead), several trials in one commit where several are due. A
suggestion depends on the record alone (speed-independence). So the number of waiting jobs and the composition of groups
change no table; they change only whether a worker waits for its next job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tunecli import failpoints
from tunecli.config.resolution import DanglingReferenceError
from tunecli.engine import engine_named, needs_torch
from tunecli.engine.protocol import Engine, EngineOptions
from tunecli.messages import Display, Ended
from tunecli.registry.engines import engine_info
from tunecli.registry.pruners import is_pausing
from tunecli.study.plan.plan import AHEAD
from tunecli.study.record.facts import facts_of
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.phase import EndReason
from tunecli.study.record.plug_ins import plug_ins_of
from tunecli.study.record.user_files import user_files
from tunecli.study.record.versions import versions
from tunecli.study.runner.coordinator import Coordinator
from tunecli.study.runner.waiting_jobs import WaitingJobs, waiting_job
from tunecli.trial import Failure, FailureKind, Outcome, State, Trial


class JobQueue:
    """The jobs that wait for a worker.

    Attributes:
        end_reason: why no further trial begins; None while there may be more.
    """

    def __init__(self, study: Study, engine: Engine, coordinator: Coordinator, display: Display) -> None:
        """An empty queue.

        Args:
            study: the study.
            engine: where its jobs run.
            coordinator: suggests trials and records them.
            display: shows the trials that are suggested.
        """
        self._engine, self._coordinator, self._display = engine, coordinator, display
        self._waiting = WaitingJobs()
        self.end_reason: EndReason | None = None
        plan, pruner = study.plan, study.spec.settings.search.pruner
        self._width = max(1, plan.fuse)
        # A group is made of jobs that come together, and a step of a pausing study may wait for the one before.
        is_one_by_one = not plan.fuse and not is_pausing(pruner)
        spare = min(plan.lookahead - plan.n_workers, (AHEAD - 1) * plan.n_workers)
        self._n_ahead = max(0, spare) if is_one_by_one else 0
        # One for each worker must wait while the next ones are made; the later they are made, the fewer the commits.
        self._n_least = min(self._n_ahead // 2, plan.n_workers)

    def keep_busy(self, received: Sequence[int]) -> None:
        """Give every idle worker a job, as far as there are any, and make the jobs that come next.

        Args:
            received: the signals that have come; after the first one, nothing more is suggested.

        Raises:
            DiskFull, StoreFailed: the disk refuses the record.
        """
        if self._coordinator.is_out_of_time:
            self.end_reason = EndReason.TIME
            self.put_back()
        while self._engine.n_idle:
            self._fill(self._engine.n_idle * self._width, received)
            if not self._waiting or received:
                break
            self._submit()
        if len(self._waiting) <= self._n_least:  # several at a time, in one commit
            self._fill(self._n_ahead, received)

    def hand_out(self, received: Sequence[int]) -> None:
        """Give idle workers the jobs that were made ahead: they are on record and need no result.

        So a worker trains its next trial while the result of its last one is recorded.
        """
        while self._n_ahead and self._waiting and self._engine.n_idle:
            if received or self._coordinator.is_out_of_time:
                return
            self._submit()

    def put_back(self) -> None:
        """Empty the queue. Its trials stay on record, and a later session runs them."""
        self._coordinator.put_back(waiting.job.number for waiting in self._waiting)
        self._waiting.clear()

    def _submit(self) -> None:
        group = self._waiting.take_group(self._engine.n_idle, self._width)
        failpoints.reach("dispatch")
        self._engine.submit(*(waiting.job for waiting in group))

    def _fill(self, n_wanted: int, received: Sequence[int]) -> None:
        """Suggest and record trials until ``n_wanted`` jobs wait, in one commit."""
        with self._coordinator.atomic():
            # A trial that is tried again runs even if no new one begins any more.
            while (
                len(self._waiting) < n_wanted
                and not received
                and (not self.end_reason or self._coordinator.has_queued)
            ):
                trial = self._coordinator.next_trial()
                if not isinstance(trial, Trial):
                    self.end_reason = trial or self.end_reason
                    break
                self._display.suggested(trial)
                self._add(trial)
        if self.end_reason is EndReason.TIME:
            self.put_back()

    def _add(self, trial: Trial) -> None:
        """Make the trial's job; if its choices make no trial, end it as failed."""
        try:
            job = self._coordinator.job_for(trial)
        except DanglingReferenceError as error:
            # Rare: `check` tries two choices together, and this one takes three (failure-is-data).
            failure = Failure(FailureKind.ERROR, error.message)
            end = Ended(trial.number, 1, Outcome(State.FAILED, failure=failure))
            for event in self._coordinator.record([end]):
                self._display.happened(event)
            return
        self._waiting.add(waiting_job(job, is_alone=self._coordinator.has_failed_attempt(trial.number)))


def engine_of(study: Study) -> Engine:
    """The engine of a study's plan."""
    plan, run, base_path = study.plan, study.spec.settings.run, study.spec.base_path.absolute()
    options = EngineOptions(
        n_workers=plan.n_workers,
        threads=plan.threads,
        needs_torch=needs_torch(study.spec, plan.device),
        workers_lock=study.folder.workers_lock_path,
        per_device=run.per_device,
        settings=run.engine_settings,
        device=plan.device,
        n_devices=run.devices_per_trial,
        folder=study.folder.path.absolute(),
        base_path=base_path,
    )
    if engine_info(plan.engine).runs_elsewhere:
        facts = facts_of(study.log)
        options = replace(
            options,
            files=user_files(base_path, facts["code"], facts["data"]),
            versions=versions(plug_ins_of(study.spec)),
        )
    return engine_named(plan.engine, options)
