"""One trial of whatever kind, from a Job to its events: our own loop, or the user's function or command.

Each kind is imported when it is run: a command needs no torch, and whoever only names `run` needs neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tunecli.spec.fingerprint import changed_files
from tunecli.spec.knobs import CommandTrial, FunctionTrial, trial_model
from tunecli.train.own.reports import Reports
from tunecli.train.stopping import never
from tunecli.trial import Event, Failure, FailureKind, Job


def run(job: Job, is_stop_wanted: Callable[[], bool] = never) -> Iterator[Event]:
    """Run one trial.

    Args:
        job: everything about it.
        is_stop_wanted: whether to stop: our own loop does where its epoch ends, the user's function at its next
            report, their command at once.

    Yields:
        At most one `Started`, an `EpochEnded` for every epoch, a `Checkpointed` for every checkpoint, then exactly one
        `Ended` or `Stopped`; a trial that fails ends as failed (law 6).

    Raises:
        DiskFull: no room is left for what is to be kept, which is no fault of the trial.
        StoreFailed: the disk refuses for another reason, which is none either.
    """
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
    from tunecli.train import loop

    return loop.run(job, is_stop_wanted)


def _of_other_code(job: Job, changed: Sequence[str]) -> Iterator[Event]:
    """The end of a trial that would mix two versions of the user's code in one study."""
    cause = f"your own code has changed since the study began: {', '.join(changed)}"
    yield Reports(job, job.device).ended(Failure(FailureKind.ERROR, cause))
