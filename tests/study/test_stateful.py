"""Stateful test of a study: killed, stopped, out of disk space, raised and resumed, in any order.

After each rule:

1. the trials are numbered 0, 1, 2, … without a gap, and there are never more than the total;
2. no suggestion and no outcome changes;
3. an ended trial and its epochs equal the trial of the same number in an undisturbed study; a paused trial has the
   first epochs of that trial, and can be continued;
4. the epochs of an ended trial are 1, 2, 3, … each once;
5. the best trial is complete, and only complete trials have a rank;
6. a trial has at most one recorded crash among its failed attempts, and a signal costs no retry;
7. a study ends by itself at the same trial as the undisturbed study;
8. `status` and `results` agree with the record.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.study.fake_engine import FakeEngine
from tests.study.folder_content import Recorded, folder_of
from tunecli.commands.check import load_checked
from tunecli.commands.results import results
from tunecli.commands.status import status
from tunecli.errors import DiskFull, Interrupted
from tunecli.messages import Event, SweepInfo
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.record.phase import ENDED_BY_ITSELF
from tunecli.study.sweep import sweep
from tunecli.trial import FailedAttempt, FailureKind, Trial

STUDY = """\
study: machine
seed: {seed}
objective: {{metric: val_loss}}
trial:
  data: {{source: iris}}
  model: linear
  optimizer: {{name: sgd, lr: {{loguniform: [1e-3, 1.0]}}}}
  training: {{epochs: 9}}
search: {{sampler: {sampler}, trials: {trials}, lookahead: {lookahead}, pruner: {pruner}, stop: {stop}}}
run: {{device: cpu, engine: local, workers: {workers}}}
"""
MOST_TRIALS = 14
MEDIAN = "{name: median, startup_trials: 2, warmup_epochs: 0}"
CURVES = ("curves", "{name: curves, factor: 2}")
PAUSING = (
    *("halving", "{name: halving, factor: 2, bracket: 3}", "hyperband", "{name: hyperband, factor: 2}"),
    *CURVES,
)
STAGNATION = "{stagnation: 1}"
STOPS = ("null", STAGNATION, "{stagnation: 3}", "{improvement: 0.05, patience: 2}")
ENDS = ("complete", "pruned", "failed")


class Killed(BaseException):
    """The process has been killed."""


class NoDisplay:
    """A display that shows nothing."""

    def began(self, heading: SweepInfo, trials: list[Trial]) -> None: ...

    def suggested(self, trial: Trial) -> None: ...

    def happened(self, event: Event | FailedAttempt) -> None: ...

    def ended(self) -> None: ...


class Studies(RuleBasedStateMachine):
    @initialize(
        seed=st.integers(0, 50),
        sampler=st.sampled_from(["random", "quasirandom", "bayes"]),
        trials=st.integers(3, 10),
        lookahead=st.integers(1, 3),
        pruner=st.sampled_from(["none", MEDIAN, *PAUSING]),
        workers=st.integers(1, 3),
        stop=st.sampled_from(STOPS),
    )
    def begin_a_study(self, **drawn: Any) -> None:
        memory = Path("/dev/shm")  # the test needs no disk, and a shared disk is slow
        self.path = Path(tempfile.mkdtemp(prefix="machine-", dir=memory if memory.is_dir() else None))
        self.file = self.path / "machine.yaml"
        self.total, self.workers = drawn["trials"], drawn["workers"]
        # Promotions depend on the total, so a pausing study is compared with an undisturbed study of the same total.
        self.is_pausing = drawn["pruner"] in PAUSING
        if drawn["pruner"] in CURVES:
            drawn["sampler"] = "bayes"
        if self.is_pausing or drawn["sampler"] != "bayes":
            drawn["stop"] = STAGNATION if "improvement" in drawn["stop"] else drawn["stop"]
        most = drawn["trials"] if self.is_pausing else MOST_TRIALS
        self.file.write_text(STUDY.format(**{**drawn, "trials": most}))
        with begin(load_checked(self.file, ()), self.path / "oracle") as study:
            self.ending = sweep(study, NoDisplay(), FakeEngine(1, random.Random(0))).reason
        self.oracle = folder_of(self.path / "oracle").trials
        self.file.write_text(STUDY.format(**drawn))
        self.seen: dict[int, Recorded] = {}
        with begin(load_checked(self.file, ()), self.path / "run"):
            pass  # killed before the first suggestion

    def teardown(self) -> None:
        if hasattr(self, "path"):
            shutil.rmtree(self.path)

    def run(self, engine: FakeEngine, **changes: Any) -> None:
        with reopen(RunFolder(self.path / "run"), changes) as study:
            sweep(study, NoDisplay(), engine)

    @rule(at=st.integers(1, 80), arrival=st.integers(0, 99))
    def kill(self, at: int, arrival: int) -> None:
        """Kill the study: the folder is as it was at that event, without later writes of this process."""
        copy = self.path / "as it was"

        def after(n: int) -> None:
            if n == at:
                shutil.copytree(self.path / "run", copy)
                raise Killed

        try:
            self.run(FakeEngine(self.workers, random.Random(arrival), after))
        except Killed:
            shutil.rmtree(self.path / "run")
            copy.rename(self.path / "run")

    @rule(
        at=st.integers(1, 80),
        arrival=st.integers(0, 99),
        number=st.sampled_from([signal.SIGINT, signal.SIGTERM]),
    )
    def stop(self, at: int, arrival: int, number: signal.Signals) -> None:
        def after(n: int) -> None:
            if n == at:
                signal.raise_signal(number)

        try:
            self.run(FakeEngine(self.workers, random.Random(arrival), after))
        except Interrupted as stopped:
            assert stopped.signal_number == number

    @rule(at=st.integers(1, 80), arrival=st.integers(0, 99))
    def fill_the_disk(self, at: int, arrival: int) -> None:
        def after(n: int) -> None:
            if n == at:
                raise DiskFull("no room")

        with contextlib.suppress(DiskFull):
            self.run(FakeEngine(self.workers, random.Random(arrival), after))

    @rule(arrival=st.integers(0, 99))
    def run_to_the_end(self, arrival: int) -> None:
        self.run(FakeEngine(self.workers, random.Random(arrival)))
        found = folder_of(self.path / "run")
        assert found.trials == self.oracle[: self.total]
        ends_as_oracle = len(self.oracle) < self.total or self.is_pausing
        assert found.ending == (self.ending if ends_as_oracle else "complete")

    @precondition(lambda self: self.total < MOST_TRIALS and not self.is_pausing)
    @rule(more=st.integers(1, 3), workers=st.integers(1, 3))
    def raise_the_total(self, more: int, workers: int) -> None:
        self.total, self.workers = min(MOST_TRIALS, self.total + more), workers
        with reopen(RunFolder(self.path / "run"), {"n_trials": self.total, "n_workers": workers}):
            pass

    @invariant()
    def the_record_is_true(self) -> None:
        if not hasattr(self, "seen"):
            return
        found = folder_of(self.path / "run").trials
        assert [trial.number for trial in found] == list(range(len(found)))
        assert len(found) <= self.total
        for trial in found:
            before, oracle = self.seen.get(trial.number), self.oracle[trial.number]
            assert (trial.parameters, trial.seed) == (oracle.parameters, oracle.seed)
            if self.is_pausing and trial.state in ("pruned", "paused"):
                assert trial.epochs == oracle.epochs[: len(trial.epochs)]
            elif trial.state in ENDS:
                assert trial == oracle
            if trial.state in ENDS:
                assert [epoch[0] for epoch in trial.epochs] == list(range(1, len(trial.epochs) + 1))
            if before is not None and before.state in ENDS[:: 2 if self.is_pausing else 1]:
                assert trial == before
            self.seen[trial.number] = trial
        assert len(self.seen) == len(found), "a suggested trial is missing"
        self.check_readers()

    def check_readers(self) -> None:
        folder = RunFolder(self.path / "run")
        with open_to_read(folder) as study:
            for number in self.seen:
                kinds = [attempt.failure.kind for attempt in study.log.failed_attempts(number)]
                assert kinds.count(FailureKind.CRASH) <= 1
                assert set(kinds) <= {FailureKind.CRASH, FailureKind.INTERRUPTED}
        ended = [trial for trial in self.seen.values() if trial.state in (*ENDS, "paused")]
        table, shown = results(folder).table, status(folder)
        assert len(table.rows) == len(ended)
        assert sum(row[0] is not None for row in table.rows) == sum(
            trial.state == "complete" for trial in ended
        )
        ending = folder_of(folder.path).ending
        is_over = ending in ENDED_BY_ITSELF or (
            len(ended) == self.total and (not self.is_pausing or ending == "complete")
        )
        assert shown.word == ("finished" if is_over else "interrupted")
        assert shown.best is None or shown.best.state == "complete"


Studies.TestCase.settings = settings(
    max_examples=8, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStudies = Studies.TestCase
