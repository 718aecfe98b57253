"""Runs a trial of any kind, from a Job to its events: tunecli's own loops, the user's function or their command.

Each kind is imported when it is run: a command needs no torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tunecli.config.python_source import changed_files
from tunecli.config.schema import CommandTrial, FunctionTrial, trial_model
from tunecli.config.secrets import Redactor, redactor_for
from tunecli.config.surroundings import secret_names
from tunecli.config.user_code import uses
from tunecli.messages import Ended, Event, Job, Paused, Started, Stopped
from tunecli.train.epoch_end import never
from tunecli.train.failures import bounded
from tunecli.train.fused.signature import why_not
from tunecli.train.user_code import code as user_code
from tunecli.train.user_code import isolation
from tunecli.train.user_code.reports import Reports
from tunecli.trial import Failure, FailureKind


def run(job: Job, is_stop_wanted: Callable[[], int] = never) -> Iterator[Event]:
    """Run one trial; see `run_trials`."""
    return run_trials([job], is_stop_wanted)


def run_trials(jobs: Sequence[Job], is_stop_wanted: Callable[[], int] = never) -> Iterator[Event]:
    """Run one trial, or a fused group of trials. No event contains a secret value of the environment.

    Args:
        jobs: one job, or several fused ones of one signature.
        is_stop_wanted: the coordinator's `Order`. Tunecli's own loop follows it at an epoch's end, the user's function
            at its next report, and their command at once.

    Yields:
        For each job, at most one `Started`, an `EpochEnded` for every epoch, a `Checkpointed` for every checkpoint,
        then exactly one `Ended` or `Stopped`, or `Paused`. A trial that fails ends as failed (failure-is-data).

    Raises:
        DiskFull: no room is left for weights or a checkpoint. That ends the sweep, not the trial.
        StoreFailed: any other error of the disk, likewise.
    """
    redactor = _redactor(jobs)
    has_user_code = any(uses_user_code(job) for job in jobs)
    if has_user_code:
        user_code.forget()  # before the files are compared with the record: this trial imports them anew
    events = _events(jobs[0], is_stop_wanted) if len(jobs) == 1 else _fused(jobs, is_stop_wanted)
    if has_user_code:
        events = isolation.kept_apart(events, user_code.program_name(jobs[0]))
    return _clean_events(events, redactor)


def run_here(job: Job, is_stop_wanted: Callable[[], int], tell: Callable[[Event], None]) -> None:
    """Run one trial of the user's own code in this thread, which runs no other trial at the same time.

    Args:
        job, is_stop_wanted: as in :func:`run_trials`.
        tell: called with each event that :func:`run_trials` yields.

    Raises:
        DiskFull, StoreFailed: as in :func:`run_trials`.
    """
    sys.argv = user_code.program_name(job)
    redactor = _redactor([job])

    def tell_clean(event: Event) -> None:
        tell(_clean(event, redactor))

    if trial_model(job.task.config) is FunctionTrial and not _changed(job):
        from tunecli.train.user_code import function as user_function

        user_function.run_here(job, is_stop_wanted, tell_clean)
        return
    for event in _events(job, is_stop_wanted):
        tell_clean(event)


def run_shared(jobs: Sequence[Job], is_stop_wanted: Callable[[], int], tell: Callable[[Event], None]) -> None:
    """Run jobs in this thread, for a process that runs other jobs before and after them.

    The modules of the user's function stay loaded.

    Args:
        jobs, is_stop_wanted: as in :func:`run_trials`.
        tell: called with each event that :func:`run_trials` yields.

    Raises:
        DiskFull, StoreFailed: as in :func:`run_trials`.
    """
    if len(jobs) == 1 and trial_model(jobs[0].task.config) is FunctionTrial:
        with isolation.undone():
            run_here(jobs[0], is_stop_wanted, tell)
        return
    for event in run_trials(jobs, is_stop_wanted):
        tell(event)


def uses_user_code(job: Job) -> bool:
    """Whether a trial imports the user's code: a function, model, loss, optimizer, data source or metric."""
    return next(uses(job.task.config, job.task.objective), None) is not None


def _redactor(jobs: Sequence[Job]) -> Redactor:
    """A redactor for the environment variables that the jobs' configurations name, with their values before the run.

    The user's code may change its environment, for example remove a password from it.
    """
    return redactor_for(sorted({name for job in jobs for name in secret_names(job.task)}), os.environ)


def _changed(job: Job) -> list[str]:
    return changed_files(job.task.code, Path(job.files.base_path)) if job.task.code else []


def _fused(jobs: Sequence[Job], is_stop_wanted: Callable[[], int]) -> Iterator[Event]:
    from tunecli.train.fused import group

    return group.run_group(jobs, is_stop_wanted)


def _events(job: Job, is_stop_wanted: Callable[[], int]) -> Iterator[Event]:
    changed = _changed(job)
    if changed:
        return _code_changed(job, changed)
    model = trial_model(job.task.config)
    if model is CommandTrial:
        from tunecli.train.user_code import command as user_command

        return user_command.run(job, is_stop_wanted)
    if model is FunctionTrial:
        from tunecli.train.user_code import function as user_function

        return user_function.run(job, is_stop_wanted)
    if job.execution.is_fused and not why_not(job):
        return _fused([job], is_stop_wanted)
    from tunecli.train import loop

    return loop.run(job, is_stop_wanted)


def _clean_events(events: Iterator[Event], redactor: Redactor) -> Iterator[Event]:
    """The same events, each cleaned by :func:`_clean`."""
    try:
        for event in events:
            yield _clean(event, redactor)
    finally:
        if isinstance(events, Generator):
            events.close()


def _clean(event: Event, redactor: Redactor) -> Event:
    """The event without secrets in its texts, and with texts of limited length.

    Secrets are removed first: shortening a text could cut through a secret and leave a part of it. The names of metrics
    contain no secret: those of tunecli's loop are fixed, and `Reports` has cleaned those of the user's code.
    """
    if redactor:
        event = _without_secrets(event, redactor)
    if isinstance(event, Ended) and event.outcome.failure is not None:
        outcome = replace(event.outcome, failure=bounded(event.outcome.failure))
        return replace(event, outcome=outcome)
    return event


def _without_secrets(event: Event, redactor: Redactor) -> Event:
    redacted = redactor.redacted
    match event:
        case Started(note=note) if note:
            return replace(event, note=redacted(note))
        case Stopped(cause=cause):
            return replace(event, cause=redacted(cause))
        case Ended(outcome=outcome) | Paused(outcome=outcome):
            failure = outcome.failure
            if failure is not None:
                cause = redacted(failure.cause, is_cut=True)  # the cause is one line of a longer text
                trace = redacted(failure.traceback, is_cut="…" in failure.traceback)
                failure = replace(failure, cause=cause, traceback=trace)
            event = replace(event, outcome=replace(outcome, failure=failure))
            return replace(event, note=redacted(event.note)) if isinstance(event, Ended) else event
    return event


def _code_changed(job: Job, changed: Sequence[str]) -> Iterator[Event]:
    """The failure of a trial that would mix two versions of the user's code in one study."""
    cause = f"your own code has changed since the study began: {', '.join(changed)}"
    yield Reports(job, job.execution.device).ended(Failure(FailureKind.ERROR, cause))
