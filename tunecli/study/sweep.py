"""The sweep, one readable loop: suggest → record → dispatch → record → rank.

Law 7: a suggestion is committed before a worker gets it, a result before it is used. Law 5: suggestion n sees
the results of trials up to n - lookahead, whatever order they ended in, so the table does not depend on the
number of workers. Law 2: only this loop writes to the log, through `progress`.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from shlex import quote

from tunecli import failpoints
from tunecli.engine import engine_named
from tunecli.engine.engine import Engine
from tunecli.errors import Interrupted
from tunecli.results.table import Table
from tunecli.spec.knobs import CommandTrial
from tunecli.spec.load import trial_models
from tunecli.spec.space import DanglingReferenceError
from tunecli.store.files import remove_leftovers
from tunecli.study.display import Display, Unfailing
from tunecli.study.fusing import Ready, group_of, ready
from tunecli.study.progress import Progress
from tunecli.study.record import Study, publish, table_of
from tunecli.study.signals import noted_signals
from tunecli.trial import Ended, Failure, FailureKind, Heading, Outcome, State, Trial

_WAIT_S = 0.2
_STOP_WAIT_S = 10.0  # for the trials under way to reach an epoch's end, once a signal came


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sweep came to its end; ``reason`` is ``complete``, ``exhausted``, or which of ``run.limit`` is spent."""

    reason: str
    path: str
    table: Table
    n_scored: int


def sweep(study: Study, display: Display, engine: Engine | None = None) -> Ending:
    """Run the study to its total.

    Args:
        study: open, and held by this process.
        display: is told what happens.
        engine: where trials run; None: the plan's.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; what was recorded stays, the rest can be resumed.
        DiskFull, StoreFailed: the disk refused what had to be written; so too.
    """
    engine = engine or _engine(study)
    shown = Unfailing(display)
    with noted_signals() as received, ExitStack() as ending:
        ending.callback(remove_leftovers, study.folder.path)  # of workers that were killed half way
        ending.callback(engine.close)
        progress = Progress(study)
        ending.callback(lambda: publish(study, list(progress.trials.values())))
        ending.callback(progress.flush)
        ending.callback(shown.ended)
        ending.callback(engine.close)
        plan = study.plan
        heading = Heading(study.spec.settings.study, study.spec.objective, plan.n_trials, plan.n_workers)
        shown.began(heading, list(progress.trials.values()))
        reason = _run(study, engine, progress, shown, received)
        progress.conclude(reason)
    trials = list(progress.trials.values())
    n_scored = sum(trial.state is State.COMPLETE for trial in trials)
    return Ending(reason, str(study.folder.path), table_of(study, trials), n_scored)


def _engine(study: Study) -> Engine:
    plan = study.plan
    return engine_named(
        plan.engine,
        n_workers=plan.n_workers,
        threads=plan.threads,
        needs_torch=trial_models(study.spec.space.tree) != {CommandTrial},
        workers_lock=study.folder.workers_lock_path,
    )


def _run(study: Study, engine: Engine, progress: Progress, display: Display, received: list[int]) -> str:
    reason, stopped_by = "", 0.0
    width = max(1, study.plan.fuse)
    waiting: list[Ready] = []
    while True:
        # what is to be tried again goes on when nothing new would begin any more
        while not received and engine.n_idle and (not reason or progress.has_queued or waiting):
            if len(waiting) < engine.n_idle * width and (not reason or progress.has_queued):
                trial, why_none = progress.next_trial()
                if trial is not None:
                    display.suggested(trial)
                    waiting += _made(progress, display, trial)
                    continue
                reason = why_none or reason
            if not waiting:
                break
            group = group_of(waiting, engine.n_idle, width)
            waiting = [each for each in waiting if each not in group]
            failpoints.reach("dispatch")
            engine.submit(*(each.job for each in group))
        if not progress.running and not received:
            return reason or "complete"
        for event in engine.events(_WAIT_S):
            display.happened(progress.record(event))
        if received:
            if not stopped_by:
                engine.stop()
                progress.put_back(each.job.number for each in waiting)
                stopped_by = time.monotonic() + _STOP_WAIT_S
            if not progress.running or time.monotonic() > stopped_by:
                raise _interrupted(study, progress, received[0])
        progress.publish_if_due()


def _made(progress: Progress, display: Display, trial: Trial) -> list[Ready]:
    """The trial's job; none where there is no such trial, which then has ended."""
    try:
        return [ready(progress.job_for(trial), is_alone=progress.is_alone(trial.number))]
    except DanglingReferenceError as error:
        # Rare: `check` tries two choices together, and this one takes three. A failure is data (law 6).
        failure = Failure(FailureKind.ERROR, error.message)
        unmade = Ended(trial.number, 1, Outcome(State.FAILED, failure=failure))
        display.happened(progress.record(unmade))
        return []


def _interrupted(study: Study, progress: Progress, signal_number: int) -> Interrupted:
    return Interrupted(
        f"{signal.Signals(signal_number).name}: stopped with {progress.n_ended} of {study.plan.n_trials} trials ended",
        signal_number=signal_number,
        hint=f"tunecli resume {quote(str(study.folder.path))}",
    )
