"""`stop` ends a sweep in order, or one trial as pruned, through the record's only writer."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable
from tests.support.forked import started_verb
from tunecli.commands.check import load_checked
from tunecli.commands.stop import stop, stop_trial
from tunecli.engine.failures import as_ended, ended_by_hand
from tunecli.errors import UsageError
from tunecli.messages import Ended, Event, Job, Started
from tunecli.store.folder import RunFolder
from tunecli.store.lock import HOLDER_NAME, Holder, hold, send_signal
from tunecli.store.stop_requests import request_stop
from tunecli.study.record.lifecycle import begin, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import State

STUDY = """\
study: small
seed: 3
objective: {metric: val_loss}
trial: {data: {source: iris}, model: linear, optimizer: {name: sgd, lr: {loguniform: [1e-3, 1.0]}}, training: {epochs: 9}}
search: {sampler: random, trials: 6, lookahead: 1, pruner: PRUNER}
run: {device: cpu}
"""


@dataclass
class Ending(FakeEngine):
    """A fake engine that can end one job."""

    ends: dict[int, Ended] = field(default_factory=dict)

    def submit(self, *jobs: Job) -> None:
        self.given = {**getattr(self, "given", {}), **{job.number: job for job in jobs}}
        super().submit(*jobs)

    def end(self, number: int) -> None:
        self.ends[number] = ended_by_hand(self.given[number], 1.0, "cpu")

    def events(self, wait_s: float) -> Iterator[Event]:
        for number, ending in list(self.ends.items()):
            if self._jobs.pop(number, None):
                yield ending
                return
        yield from super().events(wait_s)


class Requesting(Silent):
    """A display that requests the end of trial 1 once it has started."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def happened(self, event):
        super().happened(event)
        if isinstance(event, Started) and event.number == 1:
            request_stop(self.folder, 1)


@pytest.mark.parametrize("pruner", ["none", "{name: halving, bracket: 3}"])
def test_a_trial_ended_by_hand_is_pruned_on_record_and_later_trials_go_on(tmp_path, monkeypatch, pruner):
    monkeypatch.setattr("tunecli.study.runner.coordinator._LOOK_WAIT_S", 0.0)
    path = tmp_path / "small.yaml"
    path.write_text(STUDY.replace("PRUNER", pruner))
    folder = tmp_path / "run"
    with begin(load_checked(path, ()), folder) as study:
        table = sweep(study, Requesting(folder), Ending(1, random.Random(1))).table
        trial, ended_by = study.log.trial(1), study.log.ended_by(1)
    assert trial.state is State.PRUNED
    assert ended_by is not None and "a person ended the trial" in ended_by.cause
    assert len(table.rows) == 6
    assert not list(folder.glob("*.request"))
    with reopen(RunFolder(folder), {}) as study:
        again = sweep(study, Silent(), Ending(1, random.Random(2))).table
    assert comparable(again) == comparable(table)


def test_an_engine_maps_the_stop_of_an_ended_job_to_its_end():
    from tests.support.jobs import make_job
    from tunecli.messages import Stopped
    from tunecli.objective import Objective

    ending = ended_by_hand(make_job(3, {}, Objective("x", False)), 2.0, "cpu")
    assert as_ended(Stopped(3, 1), ending) is ending
    assert (ending.outcome.state, ending.outcome.score) == (State.PRUNED, None)


def test_a_study_without_a_running_process_cannot_be_stopped(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(STUDY.replace("PRUNER", "none").replace("trials: 6", "trials: 1"))
    with begin(load_checked(path, ()), tmp_path / "run") as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(1)))
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(UsageError, match="no process runs the study"):
        stop(folder)
    with pytest.raises(UsageError, match=r"trial 0 is (complete|pruned|failed) already"):
        stop_trial(folder, 0)
    with pytest.raises(UsageError, match="there is no trial 9"):
        stop_trial(folder, 9)
    with hold(folder.path):
        record = json.loads((folder.path / HOLDER_NAME).read_text())
        (folder.path / HOLDER_NAME).write_text(json.dumps({**record, "host": "elsewhere"}))
        with pytest.raises(UsageError, match=r"on elsewhere .* runs the study, and this machine is"):
            stop(folder)


def test_a_process_that_only_has_the_holders_number_gets_no_signal(tmp_path):
    with hold(tmp_path) as me:
        assert not send_signal(tmp_path, Holder(os.getppid(), me.host, me.started), signal.SIGTERM)
        with pytest.raises(UsageError, match="its number is unknown"):
            send_signal(tmp_path, Holder(), signal.SIGTERM)
    assert not send_signal(tmp_path, me, signal.SIGTERM), "it does not hold the study any more"


ENDLESS = """\
study: endless
objective: {metric: loss}
trial: {command: [sh, -c, "echo '{{\\"epoch\\": 1, \\"loss\\": 5}}'; echo {number} > begun; exec sleep 600"]}
search: {trials: 1}
run: {device: cpu, workers: 1}
"""


@pytest.mark.slow  # two whole processes
def test_stop_ends_one_trial_of_another_process(tmp_path):
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    os.mkfifo(tmp_path / "begun")
    with started_verb("search", "endless.yaml", "--out", "run", cwd=tmp_path) as sweeping:
        (tmp_path / "begun").read_text()  # waits for the trial
        ended = stop_trial(RunFolder(tmp_path / "run"), 0)
        sweeping.communicate()
    assert ended.trial.state is State.PRUNED
    assert ended.trial.outcome is not None and ended.trial.outcome.score == 5.0
    assert sweeping.returncode == 3, "no trial is complete"


def test_a_stopped_sweep_says_how_to_resume(tmp_path):
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    os.mkfifo(tmp_path / "begun")
    with started_verb("search", "endless.yaml", "--out", "run", cwd=tmp_path) as sweeping:
        (tmp_path / "begun").read_text()
        stopped = stop(RunFolder(tmp_path / "run"))
        _, err = sweeping.communicate()
    assert stopped.is_ended and stopped.holder.process_id == sweeping.pid
    assert sweeping.returncode == 128 + signal.SIGTERM
    assert "Interrupted by SIGTERM after 0 of 1 trial; nothing is lost. Continue: tunecli resume run" in err
