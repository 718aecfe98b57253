"""The progress of a study from its record: the time of its last session, and the trials that run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tunecli.messages import EpochEnded
from tunecli.results.notable import origin_of, why_of
from tunecli.results.progress import RunningTrial, Session, sparkline
from tunecli.store.database import Log
from tunecli.study.record.lifecycle import Study
from tunecli.study.record.sweep_info import sweep_info
from tunecli.text import duration, sanitize
from tunecli.trial import FailureKind, State

_CURVE_WIDTH = 8


def session_of(log: Log, end_times: Sequence[str], *, is_running: bool) -> Session:
    """The time of the study's last session.

    Args:
        log: the record.
        end_times: when trials ended, as of `Log.progress`.
        is_running: whether the session goes on; otherwise it lasted until its last trial ended.
    """
    sessions = log.sessions()
    if not sessions:
        return Session()
    began = _moment(sessions[-1]["at"])
    ends_s = [(_moment(at) - began).total_seconds() for at in end_times]
    in_session = tuple(end_s for end_s in ends_s if end_s >= 0)
    # The clock of another machine may be behind.
    elapsed_s = _seconds_since(began) if is_running else max(in_session, default=0.0)
    return Session(elapsed_s, len(ends_s) - len(in_session), in_session, not is_running)


def running_trials(study: Study, starts: Mapping[int, tuple[int, int, str]]) -> tuple[RunningTrial, ...]:
    """The trials that run, with their epochs so far and the reason of their attempts.

    Args:
        study: the study.
        starts: the last start of each, as of `Log.progress`.
    """
    log = study.log
    if not starts:
        return ()
    epochs, scores, hosts = log.epochs_of(starts), log.scores(), log.hosts()
    origins = sweep_info(study).origins
    running = []
    for number, (attempt, from_epoch, at) in starts.items():
        trial = log.trial(number)
        if trial.state is not State.RUNNING:  # it has ended in between
            continue
        failed, is_continued = _attempt_before(log, number, attempt)
        why = why_of(origin_of(trial, origins, scores), failed, from_epoch, is_continued=is_continued)
        seconds, host = _seconds_since(_moment(at)), hosts.get(number, "")
        running.append(RunningTrial(trial, tuple(epochs[number]), seconds, why, host))
    return tuple(running)


def _attempt_before(log: Log, number: int, attempt: int) -> tuple[str, bool]:
    """The kind of the failure of the attempt before, and whether it paused or was interrupted instead."""
    if attempt == 1:
        return "", False
    kinds = {failed.attempt: failed.failure.kind for failed in log.failed_attempts(number)}
    kind = kinds.get(attempt - 1)
    return ("", True) if kind in (None, FailureKind.INTERRUPTED) else (str(kind), False)


def running_text(running: RunningTrial, metric: str) -> str:
    """A running trial in one line: ``trial 13: epoch 3/10, val_accuracy 0.95 ▁▅█, 12s, model``."""
    last = running.epochs[-1] if running.epochs else None
    parts = ["starting" if last is None else f"epoch {last.epoch}/{last.total_epochs or '?'}"]
    if last is not None and metric in last.metrics:
        curve = sparkline(_curve(running, metric), _CURVE_WIDTH)
        parts.append(f"{metric} {last.metrics[metric]:.6g} {curve}".rstrip())
    parts += ["" if running.seconds is None else duration(running.seconds), running.why]
    parts += [f"on {sanitize(running.host)}"] if running.host else []
    return f"trial {running.trial.number}: {', '.join(part for part in parts if part)}"


def running_data(running: RunningTrial, metric: str) -> dict[str, Any]:
    """The same as JSON data."""
    last: EpochEnded | None = running.epochs[-1] if running.epochs else None
    value = None if last is None else last.metrics.get(metric)
    return {
        "trial": running.trial.number,
        "epoch": 0 if last is None else last.epoch,
        "total_epochs": last.total_epochs or None if last is not None else None,
        "metric": value if value is not None and value - value == 0 else None,  # JSON has no NaN
        "seconds": running.seconds,
        "why": running.why,
        "machine": running.host or None,
    }


def _curve(running: RunningTrial, metric: str) -> list[float]:
    return [epoch.metrics[metric] for epoch in running.epochs if metric in epoch.metrics]


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)


def _seconds_since(moment: datetime) -> float:
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())
