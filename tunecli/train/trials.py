"""Trials of whatever kind, from Jobs to events: our own loops, the user's function or command.

Each kind is imported when it is run: a command needs no torch, and whoever only names `run` needs neither.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tunecli.spec.contents import changed_files
from tunecli.spec.knobs import CommandTrial, FunctionTrial, trial_model
from tunecli.spec.secrets import names_in, redacted
from tunecli.train.failures import bounded
from tunecli.train.fused.signature import why_not
from tunecli.train.own.reports import Reports
from tunecli.train.stopping import never
from tunecli.trial import Ended, Event, Failure, FailureKind, Job


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run one trial; see `run_together`."""
    return run_together([job], is_stop_wanted)


def run_together(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run one trial, or several as one model; what the environment holds is in nothing that is said of them.

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
    names = sorted({name for job in jobs for name in names_in(job.config)})
    events = _events(jobs[0], is_stop_wanted) if len(jobs) == 1 else _fused(jobs, is_stop_wanted)
    return _said(events, names)


def _fused(jobs: Sequence[Job], is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    from tunecli.train.fused import group

    return group.run_group(jobs, is_stop_wanted)


def _events(job: Job, is_stop_wanted: Callable[[], bool]) -> Iterator[Event]:
    changed = changed_files(job.code, Path(job.base_path)) if job.code else []
    if changed:
        return _of_other_code(job, changed)
    model = trial_model(job.config)
    if model is CommandTrial:
        from tunecli.train.own import command as own_command

        return own_command.run(job, is_stop_wanted)
    if model is FunctionTrial:
        from tunecli.train.own import function as own_function

        return own_function.run(job, is_stop_wanted)
    if job.is_fused and not why_not(job):
        return _fused([job], is_stop_wanted)
    from tunecli.train import loop

    return loop.run(job, is_stop_wanted)


def _said(events: Iterator[Event], names: Sequence[str]) -> Iterator[Event]:
    """The same events, a failure being told in bounded texts, without the values of the variables ``names``.

    What is secret goes first: a cut through the middle of it would leave the rest of it to be read.
    """
    try:
        for event in events:
            if not isinstance(event, Ended) or event.outcome.failure is None:
                yield event
                continue
            failure = event.outcome.failure
            if names:
                cause, traceback = redacted(failure.cause, names), redacted(failure.traceback, names)
                failure = replace(failure, cause=cause, traceback=traceback)
            yield replace(event, outcome=replace(event.outcome, failure=bounded(failure)))
    finally:
        if isinstance(events, Generator):
            events.close()


def _of_other_code(job: Job, changed: Sequence[str]) -> Iterator[Event]:
    """The end of a trial that would mix two versions of the user's code in one study."""
    cause = f"your own code has changed since the study began: {', '.join(changed)}"
    yield Reports(job, job.device).ended(Failure(FailureKind.ERROR, cause))
