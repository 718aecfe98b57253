"""Trials of whatever kind, from Jobs to events: our own loops, the user's function or command.

Each kind is imported when it is run: a command needs no torch, and whoever only names `run` needs neither.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tunecli.config.python_source import changed_files
from tunecli.config.schema import CommandTrial, FunctionTrial, trial_model
from tunecli.config.secrets import Redactor, names_in, redactor_for
from tunecli.config.user_code import uses
from tunecli.messages import Ended, Event, Job, Paused, Started, Stopped
from tunecli.train.epoch_end import never
from tunecli.train.failures import bounded
from tunecli.train.fused.signature import why_not
from tunecli.train.user_code import code as own_code
from tunecli.train.user_code import isolation
from tunecli.train.user_code.reports import Reports
from tunecli.trial import Failure, FailureKind


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run one trial; see `run_together`."""
    return run_together([job], is_stop_wanted)


def run_together(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run one trial, or several as one model. No event holds a secret value of the environment.

    Args:
        jobs: everything about each; where there are several, all are fused and have one signature.
        is_stop_wanted: whether to stop: our own loop does where its epoch ends, the user's function at its next
            report, their command at once.

    Yields:
        For each job, at most one `Started`, an `EpochEnded` for every epoch, a `Checkpointed` for every checkpoint,
        then exactly one `Ended` or `Stopped`; a trial that fails ends as failed (law 6).

    Raises:
        DiskFull: no room is left for what is to be kept, which is no fault of the trial.
        StoreFailed: the disk refuses for another reason, which is none either.
    """
    redactor = _redactor(jobs)
    has_own_code = any(uses_own_code(job) for job in jobs)
    if has_own_code:
        own_code.forget()  # before the files are compared with the record: this trial reads them anew
    events = _events(jobs[0], is_stop_wanted) if len(jobs) == 1 else _fused(jobs, is_stop_wanted)
    if has_own_code:
        events = isolation.kept_apart(events, own_code.program_name(jobs[0]))
    return _clean_events(events, redactor)


def run_here(job: Job, is_stop_wanted: Callable[[], bool], tell: Callable[[Event], None]) -> None:
    """Run one trial of the user's own code in this thread, for a process that has no other trial.

    Args:
        job, is_stop_wanted: as of :func:`run_together`.
        tell: called with each event that :func:`run_together` yields.

    Raises:
        DiskFull, StoreFailed: as of :func:`run_together`.
    """
    sys.argv = own_code.program_name(job)
    redactor = _redactor([job])

    def tell_clean(event: Event) -> None:
        tell(_clean(event, redactor))

    if trial_model(job.task.config) is FunctionTrial and not _changed(job):
        from tunecli.train.user_code import function as own_function

        own_function.run_here(job, is_stop_wanted, tell_clean)
        return
    for event in _events(job, is_stop_wanted):
        tell_clean(event)


def uses_own_code(job: Job) -> bool:
    """Whether a trial imports code of the user's: its function, model, loss, optimizer, data or metric."""
    return next(uses(job.task.config, job.task.objective), None) is not None


def _redactor(jobs: Sequence[Job]) -> Redactor:
    """Of the environment variables that their configurations name, with the values that these have before they run.

    The user's code may change its environment, or take a password out of it as a precaution.
    """
    return redactor_for(sorted({name for job in jobs for name in names_in(job.task.config)}), os.environ)


def _changed(job: Job) -> list[str]:
    return changed_files(job.task.code, Path(job.files.base_path)) if job.task.code else []


def _fused(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    from tunecli.train.fused import group

    return group.run_group(jobs, is_stop_wanted)


def _events(job: Job, is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    changed = _changed(job)
    if changed:
        return _of_other_code(job, changed)
    model = trial_model(job.task.config)
    if model is CommandTrial:
        from tunecli.train.user_code import command as own_command

        return own_command.run(job, is_stop_wanted)
    if model is FunctionTrial:
        from tunecli.train.user_code import function as own_function

        return own_function.run(job, is_stop_wanted)
    if job.execution.is_fused and not why_not(job):
        return _fused([job], is_stop_wanted)
    from tunecli.train import loop

    return loop.run(job, is_stop_wanted)


def _clean_events(events: Iterator[Event], redactor: Redactor) -> Iterator[Event]:
    """The same events, each as :func:`_clean` gives it."""
    try:
        for event in events:
            yield _clean(event, redactor)
    finally:
        if isinstance(events, Generator):
            events.close()


def _clean(event: Event, redactor: Redactor) -> Event:
    """The event with its texts bounded, and without secrets in its texts.

    Secrets are removed first: a cut through the middle of one would leave the rest of it. The names of metrics hold
    none: our loop's are known, and `Reports` has removed secrets from those of the user's code.

    Args:
        event: as the trial gave it.
        redactor: of the environment variables that the configuration names.
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
                cause = redacted(failure.cause, is_cut=True)  # it is one line of a longer text
                trace = redacted(failure.traceback, is_cut="…" in failure.traceback)
                failure = replace(failure, cause=cause, traceback=trace)
            event = replace(event, outcome=replace(outcome, failure=failure))
            return replace(event, note=redacted(event.note)) if isinstance(event, Ended) else event
    return event


def _of_other_code(job: Job, changed: Sequence[str]) -> Iterator[Event]:
    """The end of a trial that would mix two versions of the user's code in one study."""
    cause = f"your own code has changed since the study began: {', '.join(changed)}"
    yield Reports(job, job.execution.device).ended(Failure(FailureKind.ERROR, cause))
