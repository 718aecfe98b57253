"""`tunecli status --watch`: follows a study that another process runs. It only reads the record, and takes no lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from tunecli.commands.outcome_summary import metric_texts
from tunecli.commands.status import Status, status_of, status_view
from tunecli.results.progress import Moment, Snapshot, failures_text
from tunecli.store.folder import RunFolder
from tunecli.store.lock import holder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.record.sweep_info import sweep_info
from tunecli.text import duration
from tunecli.trial import State

_COST_WAIT = 5.0  # times the duration of the last look, which is long for a long record
_LOOK_S = 1.0  # between two looks at the lock, so that the end is seen soon


def moments(folder: RunFolder, interval_s: float) -> Iterator[Moment]:
    """The state of a study now, and again and again until no process runs it; the last one is its end.

    Args:
        folder: the run folder.
        interval_s: seconds between two looks at the record; more if a look takes long.

    Raises:
        StoreDamaged, StoreTooNew: the database cannot be read.
    """
    while True:
        began_s = time.monotonic()
        moment = _moment(folder)
        yield moment
        if moment.snapshot is None:
            return
        _wait(folder.path, max(interval_s, _COST_WAIT * (time.monotonic() - began_s)))


def _wait(folder: Path, seconds: float) -> None:
    """Wait, but not beyond the end of the process that holds the study."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0 and holder(folder) is not None:
        time.sleep(min(_LOOK_S, left_s))


def _moment(folder: RunFolder) -> Moment:
    held_by = holder(folder.path)  # before the record, so that the last writes of a holder that ends are read
    with open_to_read(folder) as study:
        trials = study.log.trials()
        status = status_of(study, held_by, trials)
        snapshot = None
        if held_by is not None:
            snapshot = Snapshot(
                sweep_info(study), tuple(trials), status.running, status.session, status.notices
            )
    numbers = tuple(running.trial.number for running in status.running)
    best = status.best and status.best.number
    change = (status.word, tuple(sorted(status.counts.items())), numbers, best, status.notices)
    return Moment(status_view(status), line_of(status), change, snapshot)


def line_of(status: Status) -> str:
    """The state in one line: the trials, how they ended, the running ones, the best one, the rate and the time left."""
    n_ended = sum(status.counts.get(state, 0) for state in (State.COMPLETE, State.PRUNED, State.FAILED))
    ends = [
        failures_text(status.failures) if state is State.FAILED else f"{status.counts[state]} {state.value}"
        for state in (State.COMPLETE, State.PRUNED, State.FAILED)
        if status.counts.get(state)
    ]
    parts = [status.word, f"{n_ended}/{status.n_trials} trials", ", ".join(ends)]
    if status.running:
        parts.append(f"running {', '.join(str(running.trial.number) for running in status.running)}")
    if status.best is not None:
        parts.append(
            f"best {'  '.join(metric_texts(status.best, status.objective))} (trial {status.best.number})"
        )
    pace = status.session.pace
    parts.append(str(pace))
    if status.word == "running" and pace.overall and n_ended < status.n_trials:
        parts.append(f"about {duration((status.n_trials - n_ended) / pace.overall * 60)} left")
    parts += status.notices
    return "  ".join(part for part in parts if part)
