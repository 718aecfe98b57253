"""The sweep, one readable loop: suggest → record → dispatch → record → rank.

Law 7: a suggestion is committed before a worker gets it, a result before it is used. Law 5: suggestion n sees
the results of trials up to n - lookahead, whatever order they ended in, so the table does not depend on the
number of workers. Law 2: only this loop writes to the log, through `progress`.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from shlex import quote

from tunecli.config.labels import option_labels
from tunecli.engine import engine_named, needs_torch
from tunecli.engine.protocol import WAIT_S, Engine, EngineOptions
from tunecli.errors import Interrupted
from tunecli.messages import Event, SweepInfo
from tunecli.results.ranking import FrontSummary
from tunecli.results.table import Table
from tunecli.store.files import remove_leftovers
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.overview import Overview, overview
from tunecli.study.runner.coordinator import Coordinator
from tunecli.study.runner.display import Display, Unfailing
from tunecli.study.runner.job_queue import JobQueue
from tunecli.study.runner.signals import noted_signals
from tunecli.text import counted
from tunecli.trial import State, Trial

_STOP_WAIT_S = 10.0  # for the trials under way to reach an epoch's end, once a signal came


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sweep came to its end; ``reason`` is ``complete``, ``exhausted``, or which of ``run.limit`` is spent.

    ``n_scored`` trials have a score and ``n_failed`` failed. ``cause`` is the failure of all trials where that ended
    the sweep (``alike``), else empty.
    """

    reason: str
    path: str
    overview: Overview
    n_scored: int
    n_failed: int
    cause: str = ""

    @property
    def table(self) -> Table:
        """The ranked table."""
        return self.overview.table

    @property
    def front_summary(self) -> FrontSummary | None:
        """The Pareto front and the feasible trials; None: there is one goal and no constraint."""
        return self.overview.front_summary


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
        progress = Coordinator(study)
        ending.callback(progress.tidy)
        ending.callback(progress.publish)
        ending.callback(progress.flush)
        ending.callback(shown.ended)
        ending.callback(engine.close)
        plan = study.plan
        heading = SweepInfo(
            study.spec.settings.study,
            study.spec.objective,
            plan.n_trials,
            plan.n_workers,
            study.spec.space.names,
            option_labels(study.spec.space),
        )
        shown.began(heading, list(progress.trials.values()))
        reason = _run(study, engine, progress, shown, received)
        progress.conclude(reason)
    trials = list(progress.trials.values())
    n_scored, n_failed = (
        sum(trial.state is state for trial in trials) for state in (State.COMPLETE, State.FAILED)
    )
    cause = _first_failure(trials) if reason == "alike" else ""
    return Ending(reason, str(study.folder.path), overview(study, trials), n_scored, n_failed, cause)


def _first_failure(trials: Sequence[Trial]) -> str:
    failures = (trial.outcome.failure for trial in trials if trial.outcome and trial.outcome.failure)
    return next((f"{failure.kind}: {failure.cause}" for failure in failures), "")


def _engine(study: Study) -> Engine:
    plan = study.plan
    return engine_named(
        plan.engine,
        EngineOptions(
            n_workers=plan.n_workers,
            threads=plan.threads,
            needs_torch=needs_torch(study.spec, plan.device),
            workers_lock=study.folder.workers_lock_path,
            per_device=study.spec.settings.run.per_device,
            settings=study.spec.settings.run.engine_settings,
        ),
    )


def _run(study: Study, engine: Engine, progress: Coordinator, display: Display, received: list[int]) -> str:
    dispatch, stopped_by = JobQueue(study, engine, progress, display), 0.0
    while True:
        if not received:
            dispatch.keep_busy(received)
        if not progress.running and not received:
            return dispatch.reason or "complete"
        came: list[Event] = []
        try:
            for event in engine.events(WAIT_S):
                came.append(event)
            dispatch.pass_on(received)
        finally:  # what came before a worker told that its disk is full is on record all the same
            for happened in progress.record(came):
                display.happened(happened)
        if received:
            if not stopped_by:
                engine.stop()
                dispatch.put_back()
                stopped_by = time.monotonic() + _STOP_WAIT_S
            if not progress.running or time.monotonic() > stopped_by:
                raise _interrupted(study, progress, received[0])
        progress.tend()


def _interrupted(study: Study, progress: Coordinator, signal_number: int) -> Interrupted:
    return Interrupted(
        f"Interrupted by {signal.Signals(signal_number).name} after {progress.n_ended} of "
        f"{counted(study.plan.n_trials, 'trial')}; nothing is lost",
        signal_number=signal_number,
        hint=f"tunecli resume {quote(str(study.folder.path))}",
    )
