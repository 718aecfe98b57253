"""`run.events: tensorboard`: an event file for each trial, with its metrics by epoch and its parameters.

The files are in ``events/trial-NNNNN/`` of the run folder, so ``tensorboard --logdir RUN/events`` shows each trial as a
run. An epoch is appended when it is recorded. A trial that goes on from an earlier epoch, and a file that a kill left
incomplete, are written anew from the record.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from tunecli.durable_files import make_folder, open_regular, put, read_regular
from tunecli.exporters.protocol import ExportedStudy
from tunecli.exporters.tensorboard_messages import (
    Status,
    end_event,
    parameters_event,
    scalars_event,
    version_event,
)
from tunecli.messages import Ended, EpochEnded, Event, Paused, Started, SweepInfo
from tunecli.registry.exporters import EVENTS_FOLDER
from tunecli.tfrecords import record
from tunecli.trial import FailedAttempt, State, Trial

_END_MARK = b"_hparams_/session_end_info"
_LAST_BYTES = 512  # the end of a trial fits in them
_STEPS = ("before event file", "event file")


class TensorBoardFiles:
    """Writes the event files of a study; see `Display` for the methods."""

    def __init__(self, study: ExportedStudy) -> None:
        """Write nothing yet.

        Args:
            study: the study.
        """
        self._study = study
        self._folder = study.path / EVENTS_FOLDER
        self._trials: dict[int, Trial] = {}
        self._epochs: dict[int, list[EpochEnded]] = {}

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None:
        """Complete the files of the trials on record."""
        self._trials = {trial.number: trial for trial in trials}
        stale = [trial for trial in trials if trial.outcome is None or not self._is_complete(trial.number)]
        epochs = self._study.epochs_of([trial.number for trial in stale])
        for trial in stale:
            if epochs[trial.number] or trial.outcome is not None:
                self._epochs[trial.number] = list(epochs[trial.number])
                self._rewrite(trial)
            if trial.outcome is not None and trial.state is not State.PAUSED:
                self._epochs.pop(trial.number, None)

    def suggested(self, trial: Trial) -> None:
        self._trials[trial.number] = trial

    def noticed(self, notices: Sequence[str]) -> None:
        """Notices are not exported."""

    def happened(self, event: Event | FailedAttempt) -> None:
        trial = self._trials.get(event.number)
        if trial is None:
            return
        if isinstance(event, Started):
            kept = self._epochs.get(event.number, [])
            if event.from_epoch and not kept:  # paused, and on record with all its epochs
                kept = list(self._study.epochs_of([event.number])[event.number])
            self._epochs[event.number] = [epoch for epoch in kept if epoch.epoch <= event.from_epoch]
            self._rewrite(replace(trial, state=State.RUNNING, outcome=None))
        elif isinstance(event, EpochEnded):
            self._epochs.setdefault(event.number, []).append(event)
            self._append(event.number, [_epoch_event(time.time(), event)])
        elif isinstance(event, Ended | Paused):
            self._epochs.pop(event.number, None)
            status = _STATUS[event.outcome.state.shown]
            if not self._path(event.number).exists():  # it failed before it started
                self._write(event.number, self._beginning(trial, time.time()))
            self._append(event.number, [end_event(time.time(), status)])

    def ended(self) -> None:
        """Every event is in its file already."""

    def _is_complete(self, number: int) -> bool:
        try:
            return _END_MARK in read_regular(self._path(number))[-_LAST_BYTES:]
        except OSError:
            return False

    def _rewrite(self, trial: Trial) -> None:
        """Write the file of a trial from its epochs. Their times are counted back from now."""
        epochs = self._epochs.get(trial.number, [])
        now_s = time.time() - sum(epoch.seconds for epoch in epochs)
        events = self._beginning(trial, now_s)
        for epoch in epochs:
            now_s += epoch.seconds
            events.append(_epoch_event(now_s, epoch))
        if trial.outcome is not None:
            events.append(end_event(now_s, _STATUS[trial.state.shown]))
        self._write(trial.number, events)

    def _beginning(self, trial: Trial, now_s: float) -> list[bytes]:
        return [version_event(now_s), parameters_event(now_s, _name(trial.number), trial.parameters)]

    def _write(self, number: int, events: Iterable[bytes]) -> None:
        path = self._path(number)
        make_folder(path.parent)
        put(path, b"".join(map(record, events)), steps=_STEPS)

    def _append(self, number: int, events: Sequence[bytes]) -> None:
        descriptor = open_regular(self._path(number), os.O_WRONLY | os.O_APPEND)
        with os.fdopen(descriptor, "ab") as file:
            file.write(b"".join(map(record, events)))

    def _path(self, number: int) -> Path:
        # TensorBoard takes every file with `tfevents` in its name, and reads them in the order of their names.
        return self._folder / _name(number) / "events.out.tfevents.0.tunecli"


_STATUS = {
    State.COMPLETE: Status.SUCCESS,
    State.PRUNED: Status.SUCCESS,
    State.FAILED: Status.FAILURE,
    State.RUNNING: Status.RUNNING,
    State.WAITING: Status.UNKNOWN,
}


def _name(number: int) -> str:
    return f"trial-{number:05d}"


def _epoch_event(wall_time_s: float, epoch: EpochEnded) -> bytes:
    return scalars_event(wall_time_s, epoch.epoch, epoch.metrics)
