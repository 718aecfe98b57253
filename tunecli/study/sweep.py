"""The sweep: suggest → record → train → record, until the study has its total number of trials, then rank.

A suggestion is committed before a worker gets it, and a result before it is used (write-ahead). Suggestion n uses the
results of the trials up to n - lookahead. The order in which they ended does not matter, so the ranked table does not
depend on the number of workers (speed-independence). Only this process writes the log, through the coordinator
(one-writer).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from shlex import quote

from tunecli.engine.protocol import WAIT_S, EndsOneJob, Engine, HasHosts
from tunecli.errors import ClusterGone, Interrupted
from tunecli.exporters.protocol import GuardedDisplay
from tunecli.messages import Display, Event
from tunecli.object_storage.claims import tidy
from tunecli.results.baseline import Baseline
from tunecli.results.failures import failure_line
from tunecli.results.ranking import FrontSummary
from tunecli.results.table import Table
from tunecli.store.files import remove_leftovers
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.phase import EndReason
from tunecli.study.record.publish import Overview, overview
from tunecli.study.record.sweep_info import sweep_info
from tunecli.study.refitting import Refit
from tunecli.study.runner.coordinator import Coordinator
from tunecli.study.runner.job_queue import JobQueue, engine_of
from tunecli.study.runner.notices import Notices
from tunecli.study.runner.signals import noted_signals
from tunecli.text import counted
from tunecli.trial import State, Trial

_STOP_WAIT_S = 10.0  # after a signal, for running trials to reach the end of an epoch


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sweep ended.

    Attributes:
        reason: why it ended.
        path: the run folder.
        overview: the ranked table, and the facts that a screen shows with it.
        n_scored: number of complete trials.
        n_failed: number of failed trials.
        cause: the first failure, if the sweep ended because all trials failed alike; else empty.
        stagnation: the number at `search.stop.stagnation`; None: the file has none.
        baseline: the scores of simple models on the same data; None: they were not fitted.
        refit: the best trial trained on all rows; None: `search.refit` is off, or no trial has a score.
        refit_note: why there is no such model, although the file wants one; empty: there is one.
        page: the file of the report's page; empty: none was written.
        page_note: why none was written, although ``run.report`` is on; empty: one was.
    """

    reason: EndReason
    path: str
    overview: Overview
    n_scored: int
    n_failed: int
    cause: str = ""
    stagnation: int | None = None
    baseline: Baseline | None = None
    refit: Refit | None = None
    refit_note: str = ""
    page: str = ""
    page_note: str = ""

    @property
    def table(self) -> Table:
        """The ranked table."""
        return self.overview.table

    @property
    def front_summary(self) -> FrontSummary | None:
        """The Pareto front and the feasible trials; None: there is one goal and no constraint."""
        return self.overview.front_summary


def sweep(study: Study, display: Display, engine: Engine | None = None) -> Ending:
    """Run the study until it has its total number of trials, or until a limit or a signal ends it.

    Args:
        study: open, and held by this process.
        display: shows the sweep.
        engine: where trials run; None: the engine of the study's plan.

    Returns:
        How the sweep ended.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came. The record is kept, and the sweep can be resumed.
        ClusterGone: the machines of the engine are lost. The record is kept, and the sweep can be resumed.
        DiskFull, StoreFailed: the disk refuses a write. The record is kept, too.
    """
    try:
        engine = engine or engine_of(study)
    except ClusterGone as error:
        raise _gone(
            study, error, n_ended=sum(trial.outcome is not None for trial in study.log.trials())
        ) from error
    guarded_display = GuardedDisplay(display)
    with noted_signals() as received, ExitStack() as cleanup:  # the callbacks run from the last to the first
        cleanup.callback(remove_leftovers, study.folder.path)  # temporary files of workers that were killed
        cleanup.callback(
            tidy, study.folder.path, study.folder.checkpoints_path
        )  # superfluous objects of a storage
        cleanup.callback(engine.close)  # needed if the coordinator cannot be made
        coordinator = Coordinator(study)
        cleanup.callback(coordinator.close)
        cleanup.callback(guarded_display.ended)
        cleanup.callback(engine.close)  # a second time: the workers end before the coordinator closes
        guarded_display.began(sweep_info(study), list(coordinator.trials.values()))
        try:
            reason = _run(study, engine, coordinator, guarded_display, received)
        except ClusterGone as error:
            raise _gone(study, error, coordinator.n_ended) from error
        coordinator.conclude(reason)
    return _ending(study, reason, list(coordinator.trials.values()))


def _run(
    study: Study, engine: Engine, coordinator: Coordinator, display: GuardedDisplay, received: Sequence[int]
) -> EndReason:
    """Hand out jobs and record events until nothing is left to do."""
    queue = JobQueue(study, engine, coordinator, display)
    deadline_s: float | None = None
    ends_one_job = engine if isinstance(engine, EndsOneJob) else None  # a check of 20 µs
    notices = Notices(engine)
    while True:
        if not received:
            queue.keep_busy(received)
        if not coordinator.running and not received:
            return queue.end_reason or EndReason.COMPLETE
        _record_events(engine, queue, coordinator, display, received)
        if received:
            if deadline_s is None:
                engine.stop()
                queue.put_back()
                deadline_s = time.monotonic() + _STOP_WAIT_S
            if not coordinator.running or time.monotonic() > deadline_s:
                raise _interrupted(study, coordinator, received[0])
        coordinator.tend()
        if notices.have_changed():
            coordinator.note(notices.current)
            display.noticed(notices.current)
        if ends_one_job is not None:
            for number in coordinator.requested_stops():
                ends_one_job.end(number)


def _record_events(
    engine: Engine, queue: JobQueue, coordinator: Coordinator, display: Display, received: Sequence[int]
) -> None:
    """Wait for the workers' events, hand out waiting jobs, then record the events and show them."""
    events: list[Event] = []
    try:
        for event in engine.events(WAIT_S):
            events.append(event)
        queue.hand_out(received)
    finally:  # if a worker reports a full disk, the events before that report are still recorded
        recorded = coordinator.record(events)
        if coordinator.has_new_host(recorded) and isinstance(engine, HasHosts):
            coordinator.note_hosts(engine.hosts())
        for one in recorded:
            display.happened(one)


def _ending(study: Study, reason: EndReason, trials: Sequence[Trial]) -> Ending:
    n_scored, n_failed = (
        sum(trial.state is state for trial in trials) for state in (State.COMPLETE, State.FAILED)
    )
    cause = _first_failure(trials) if reason is EndReason.ALIKE else ""
    return Ending(
        reason,
        str(study.folder.path),
        overview(study, trials),
        n_scored,
        n_failed,
        cause,
        stop.stagnation if (stop := study.spec.settings.search.stop) is not None else None,
    )


def _first_failure(trials: Sequence[Trial]) -> str:
    failures = (trial.outcome.failure for trial in trials if trial.outcome and trial.outcome.failure)
    return next(map(failure_line, failures), "")


def _interrupted(study: Study, coordinator: Coordinator, signal_number: int) -> Interrupted:
    return Interrupted(
        f"Interrupted by {signal.Signals(signal_number).name} after {coordinator.n_ended} of "
        f"{counted(study.plan.n_trials, 'trial')}; nothing is lost",
        signal_number=signal_number,
        hint=f"tunecli resume {quote(str(study.folder.path))}",
    )


def _gone(study: Study, error: ClusterGone, n_ended: int) -> ClusterGone:
    """The error of the engine, with the state of the study and the command that continues it."""
    study.folder.append_log({"cluster_gone": error.message})
    return ClusterGone(
        f"{error.message}; the sweep ends after {n_ended} of {counted(study.plan.n_trials, 'trial')}; nothing is lost",
        hint=f"tunecli resume {quote(str(study.folder.path))}",
    )
