"""Trials' seeds and jobs, and the rules for another attempt.

`job_for` makes the job of a first attempt. In a sweep, `Attempts` keeps the failed attempts and checkpoints of each
trial, and makes the job of its next attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tunecli.config.concrete_trial import concrete, trial_models
from tunecli.config.metric_names import is_on_request
from tunecli.config.resolution import DanglingReferenceError
from tunecli.config.run import OnFailure
from tunecli.config.schema import TrialConfig, trial_model
from tunecli.config.study import StudySpec
from tunecli.config.surroundings import TRIAL, surroundings_of
from tunecli.messages import EpochEnded, Execution, Files, Job, Limits, ResumePoint, Started, Task
from tunecli.registry.pruners import is_pausing
from tunecli.search.protocols import Bounds
from tunecli.seeding import seed_for
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder
from tunecli.study.plan.plan import Plan
from tunecli.study.record.lifecycle import Study
from tunecli.study.runner.record_writer import RecordWriter
from tunecli.train.user_code.trial_files import journal_events
from tunecli.trial import Checkpoint, FailedAttempt, Failure, FailureKind, Parameters, Step, Trial

_CHECKPOINT_EPOCHS: Mapping[str, int | None] = {"auto": None, "off": 0}
_KEPT_CHECKPOINTS = 2  # of each trial: the newest may turn out to be damaged
_MOST_PARTS = 64  # of a batch; with parts this small, the model itself is too large


def trial_seed(spec: StudySpec, number: int, point: Parameters) -> int:
    """The seed of trial ``number``: ``trial.seed`` if the file sets it, else one derived from the study's seed."""
    try:
        fixed = concrete(spec.space, point).get("seed")
    except DanglingReferenceError:  # such a trial ends before it needs a seed
        fixed = None
    return seed_for(spec.settings.seed, number, "trial") if fixed is None else int(fixed)


def job_for(
    spec: StudySpec, plan: Plan, trial: Trial, *, weights_path: Path | None = None, open_test: bool = False
) -> Job:
    """The job of a trial's first attempt, without checkpoints and without a pruner's bounds.

    Args:
        spec: the study.
        plan: its plan: device, threads, fusing.
        trial: the trial to run.
        weights_path: the file for its weights; None: they are not kept.
        open_test: whether to evaluate the weights on the test part.

    Raises:
        DanglingReferenceError: a ``ref`` of the trial points to a parameter that the trial does not have.
    """
    run = spec.settings.run
    return Job(
        trial.number,
        1,
        Task(
            config=concrete(spec.space, trial.parameters),
            objective=spec.settings.recorded,
            study_seed=spec.settings.seed,
            seed=trial.seed,
            repeats=spec.settings.search.repeats,
            open_test=open_test,
            surroundings=surroundings_of(spec.settings.run),
        ),
        Files(base_path=str(spec.base_path.absolute()), weights_path=_text(weights_path)),
        Limits(
            run.trial_limit.time,
            run.trial_limit.idle,
            run.trial_limit.memory,
            end_epoch=run.trial_limit.epochs,
            max_epoch=_max_epoch(spec),
            is_kept=run.on_failure.timeout == "keep",
        ),
        execution=Execution(
            device=plan.device,
            threads=plan.threads,
            n_devices=run.devices_per_trial,
            is_fused=plan.fuse > 0,
            is_isolated=run.isolate == "on",
        ),
    )


def _max_epoch(spec: StudySpec) -> int | None:
    """The last epoch that counts, for a trial of the user's own code: the pruner's last rung."""
    pruner = spec.settings.search.pruner
    if not is_pausing(pruner) or pruner.max_epochs == "auto":
        return None
    return pruner.max_epochs


def repeated(job: Job, ended_by: Failure | None, epochs: Sequence[EpochEnded]) -> Job:
    """The job of a trial that is run again: with its recorded metrics, and up to the epoch where a time limit ended it.

    Args:
        job: the trial.
        ended_by: the limit or the person that ended it, as of `Log.ended_by`.
        epochs: its epochs on record.
    """
    if epochs:
        job = with_metrics_of(job, epochs[-1].metrics)
    if ended_by is None or ended_by.kind is not FailureKind.TIMEOUT or not epochs:
        return job
    return replace(job, limits=Limits(end_epoch=epochs[-1].epoch))


def with_metrics_of(job: Job, recorded: Iterable[str]) -> Job:
    """The job, with the metrics on request that an earlier run recorded: `objective.also` may have changed since."""
    asked = tuple(name for name in recorded if is_on_request(name))
    return replace(job, task=replace(job.task, objective=replace(job.task.objective, also=asked)))


class Attempts:
    """The failed attempts and the checkpoints of every trial that has not ended."""

    def __init__(self, study: Study, code: Mapping[str, str], numbers: Iterable[int]) -> None:
        """Read them from the record.

        Args:
            study: the study.
            code: SHA-256 of the user's own files, as recorded when the study began.
            numbers: the trials that have not ended.
        """
        self._study, self._log, self._code = study, study.log, code
        self._folder = RunFolder(study.folder.path.absolute())
        # Of each trial of which more than its suggestion is on record.
        self._failed: dict[int, list[FailedAttempt]] = {}
        self._checkpoints: dict[int, tuple[Checkpoint, ...]] = {}
        for number in numbers:
            self.begin(number)

    def begin(self, number: int) -> None:
        """Read the failed attempts and checkpoints of a trial that is begun or continued."""
        self._failed[number] = self._log.failed_attempts(number)
        self._checkpoints[number] = self._log.checkpoints(number)

    def pause(self, number: int) -> tuple[Checkpoint, ...]:
        """Forget a paused trial's checkpoints. Returns all but the newest: that one is needed to continue the trial."""
        return self._checkpoints.pop(number, ())[1:]

    def end(self, number: int) -> tuple[Checkpoint, ...]:
        """Forget a trial that has ended. Returns its checkpoints, which nothing needs any more."""
        self._failed.pop(number, None)
        return self._checkpoints.pop(number, ())

    def has_failed(self, number: int) -> bool:
        """Whether an attempt at the trial has failed."""
        return bool(self._failed.get(number))

    def add_failed(self, failed: FailedAttempt) -> None:
        """Add an attempt that failed or was interrupted."""
        self._failed.setdefault(failed.number, []).append(failed)

    def add_checkpoint(self, number: int, checkpoint: Checkpoint) -> tuple[Checkpoint, ...]:
        """Add a trial's newest checkpoint. Returns those that it makes superfluous."""
        known = (checkpoint, *self._checkpoints.get(number, ()))
        self._checkpoints[number] = known[:_KEPT_CHECKPOINTS]
        return known[_KEPT_CHECKPOINTS:]

    def is_tried_again(self, number: int, failure: Failure) -> bool:
        """Whether a failed attempt is followed by another one, and so does not end its trial."""
        return is_tried_again(
            self._study.spec.settings.run.on_failure,
            failure,
            self._failed.get(number, []),
            can_split=trial_models(self._study.spec.space.tree) == {TrialConfig},
        )

    def next_job(
        self,
        trial: Trial,
        writer: RecordWriter,
        *,
        step: Step | None,
        bounds: Bounds,
        keep_below: float | None,
    ) -> Job:
        """The job of the trial's next attempt, from its last checkpoint on; call it in a block of the writer.

        Args:
            trial: the trial to run.
            writer: records reports of the user's code that are not on record yet.
            step: the trial's step in a study whose trials pause; else None.
            bounds: the pruner's bounds for this trial.
            keep_below: see `Files.keep_below`.

        Raises:
            DanglingReferenceError: a ``ref`` of the trial points to a parameter that the trial does not have.
        """
        spec, folder, number = self._study.spec, self._folder, trial.number
        run, checkpoints = spec.settings.run, self._checkpoints.get(number, ())
        job = job_for(spec, self._study.plan, trial, weights_path=folder.weights_path(number))
        is_user_code = trial_model(job.task.config) is not TrialConfig
        reports_path = folder.reports_path(number) if is_user_code else None
        is_first = number not in self._failed
        recorded = self.reported_epochs(number, writer) if reports_path and not is_first else ()
        has_checkpoints = step is not None or run.checkpoint != "off"
        limit_s = job.limits.time_s
        return Job(
            number,
            1 if is_first else self._log.attempts(number) + 1,
            replace(job.task, code=dict(self._code)),
            replace(
                job.files,
                keep_below=keep_below,
                checkpoint_dir=_text(folder.checkpoint_dir(number)),
                trial_dir=_text(folder.trial_dir(number) if run.cwd == TRIAL else None),
                checkpoints_path=_text(folder.checkpoints_path if has_checkpoints else None),
                checkpoint_epochs=_checkpoint_epochs(spec),
                reports_path=_text(reports_path),
                log_path=_text(folder.trial_log_path(number)),
                log_limit_bytes=run.log_limit,
            ),
            replace(
                job.limits,
                time_s=None if limit_s is None else max(0.0, limit_s - self._spent_s(number, checkpoints)),
                stop_above=tuple(bounds.losses),
                stop_epochs=tuple(bounds.epochs),
                until_epoch=step.until_epoch if step else None,
            ),
            ResumePoint(
                tuple(checkpoints),
                tuple((epoch.epoch, epoch.metrics) for epoch in recorded),
                recorded[-1].epoch_offset if recorded else None,
            ),
            replace(job.execution, micro_batches=micro_batches(run.on_failure, self._failed.get(number, []))),
        )

    def reported_epochs(self, number: int, writer: RecordWriter) -> list[EpochEnded]:
        """The trial's epochs, also those that only its file of reports has; call it in a block of the writer."""
        return record_reports(self._log, writer, self._folder.reports_path(number), number)

    def _spent_s(self, number: int, checkpoints: Sequence[Checkpoint]) -> float:
        """Seconds of training up to the newest checkpoint."""
        if not checkpoints:
            return 0.0
        return sum(epoch.seconds for epoch in self._log.epochs(number) if epoch.epoch <= checkpoints[0].epoch)


def is_tried_again(
    policy: OnFailure, failure: Failure, failed: Sequence[FailedAttempt], *, can_split: bool
) -> bool:
    """Whether a failed attempt is followed by another one, and so does not end its trial.

    Args:
        policy: ``run.on_failure``: the action after each kind of failure.
        failure: how the attempt ended.
        failed: the trial's earlier failed attempts.
        can_split: whether the trial's batches can be split: our own loop trains it.
    """
    action = policy.of(failure.kind)
    if action == "split":
        return can_split and micro_batches(policy, failed) < _MOST_PARTS
    return action == "retry" and not any(earlier.failure.kind is failure.kind for earlier in failed)


def micro_batches(policy: OnFailure, failed: Sequence[FailedAttempt]) -> int:
    """Number of parts that the next attempt splits each batch into: twice as many after each lack of memory."""
    if policy.oom != "split":
        return 1
    n_oom = sum(earlier.failure.kind is FailureKind.OOM for earlier in failed)
    return int(2**n_oom)


def record_reports(log: Log, writer: RecordWriter, path: Path, number: int) -> list[EpochEnded]:
    """Record the events in a trial's file of reports that the log lacks; call it in a block of the writer.

    The user's code goes on from the last epoch that it reported, even after its worker or the coordinator was killed.
    So the record must have that epoch too, or the trial's curve would have a gap.

    Args:
        log: the record.
        writer: its writer.
        path: the file; it may be missing.
        number: the trial's number.

    Returns:
        The trial's epochs on record, in order.

    Raises:
        DiskFull, StoreFailed: the disk refuses the record.
    """
    events = [event for event in journal_events(path) if event.number == number]
    if not events:
        return log.epochs(number)
    attempts, epochs = log.started(number), log.epochs(number)
    # Reports of attempts before the latest are on record already: they were recorded when it began.
    latest = max(attempts, default=0)
    known = {(epoch.attempt, epoch.epoch) for epoch in epochs}
    for event in events:
        if isinstance(event, Started):
            if event.attempt > latest and event.attempt not in attempts:
                attempts.add(event.attempt)
                writer.start(event)
        elif event.attempt in attempts and event.attempt >= latest:
            key = (event.attempt, event.epoch)
            if key not in known:
                writer.epoch(event)
            known.add(key)
    writer.settle()
    return log.epochs(number)


def _checkpoint_epochs(spec: StudySpec) -> int | None:
    asked = spec.settings.run.checkpoint
    return _CHECKPOINT_EPOCHS[asked] if isinstance(asked, str) else asked.epochs


def _text(path: Path | None) -> str:
    return "" if path is None else str(path.absolute())
