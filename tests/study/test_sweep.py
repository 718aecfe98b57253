"""The sweep gives one table for any number of workers, stops and kills.

It keeps the laws record-is-the-state, seeds-by-name, speed-independence, failure-is-data and write-ahead.
"""

import csv
import itertools
import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, comparable, run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.results import results
from tunecli.commands.status import status
from tunecli.commands.train import train
from tunecli.config.expressions import Group, Reference
from tunecli.config.space import Space
from tunecli.errors import DiskFull, Interrupted, UsageError
from tunecli.messages import Ended, EpochEnded
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.sweep import sweep
from tunecli.trial import State


@pytest.mark.parametrize("sampler", ["random", "quasirandom", "bayes", "grid"])
def test_a_sweep_that_is_stopped_and_resumed_has_the_uninterrupted_table(study_file, tmp_path, sampler):
    path = study_file(
        **{
            "sampler: random": f"sampler: {sampler}",
            "[1e-3, 1.0]": "[1e-3, 1.0], grid: 3",
            "[1e-4, 1e-1]": "[1e-4, 1e-1], grid: 2",
        }
    )
    whole = run_whole(path, tmp_path / "whole")
    with pytest.raises(Interrupted) as caught, begin(load_checked(path, ()), tmp_path / "cut") as study:
        sweep(study, Silent(stop_after=2))
    assert caught.value.signal_number == signal.SIGINT
    assert f"tunecli resume {tmp_path / 'cut'}" in caught.value.hint
    display = Silent()
    with reopen(RunFolder.open_existing(tmp_path / "cut"), {}) as study:
        resumed = sweep(study, display)
    assert comparable(resumed.table) == comparable(whole)
    assert display.ends == 4, "nothing finished is run again"
    assert len(whole.rows) == 6


def test_the_table_does_not_depend_on_the_number_of_workers(study_file, tmp_path):
    path = study_file(**{"sampler: random": "sampler: bayes"})
    one = run_whole(path, tmp_path / "one")
    two = run_whole(path, tmp_path / "two", "run.engine=local", "run.workers=2")
    assert comparable(one) == comparable(two)


@pytest.mark.slow
def test_a_sweep_that_is_killed_anywhere_resumes_to_the_identical_table(study_file, tmp_path, tunecli):
    path = study_file()
    whole = run_whole(path, tmp_path / "whole")
    for n_lines in (1, 2, 4):
        folder = tmp_path / f"killed-{n_lines}"
        command = [
            sys.executable,
            "-m",
            "tunecli",
            "search",
            str(path),
            "--out",
            str(folder),
            "--workers",
            "2",
        ]
        command += ["--set", "run.engine=local"]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stderr is not None
            # The summary of the data is printed before the study begins.
            begun = itertools.dropwhile(lambda line: not line.startswith("small"), process.stderr)
            for _ in itertools.islice(begun, n_lines):
                pass
            process.kill()
        done = tunecli("resume", folder)
        assert done.returncode == 0, done.stderr
        assert comparable(results(RunFolder.open_existing(folder)).table) == comparable(whole)


def test_resume_of_a_finished_study_runs_nothing_and_may_raise_the_total(study_file, tmp_path):
    path = study_file()
    run_whole(path, tmp_path / "run", "search.trials=2")
    folder = RunFolder.open_existing(tmp_path / "run")
    display = Silent()
    with reopen(folder, {}) as study:
        sweep(study, display)
    assert display.ends == 0
    with reopen(folder, {"n_trials": 6}) as study:
        raised = sweep(study, Silent()).table
    assert comparable(raised) == comparable(run_whole(path, tmp_path / "whole"))
    with pytest.raises(UsageError, match="6 trials were suggested already"), reopen(folder, {"n_trials": 3}):
        pass


def test_the_first_trial_has_the_default_values(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run", "search.trials=1")
    with open_to_read(RunFolder.open_existing(tmp_path / "run")) as study:
        (trial,) = study.log.trials()
    assert trial.parameters["optimizer"] == "adamw"
    assert trial.parameters["optimizer.lr"] == 1e-2


def test_a_space_that_is_exhausted_ends_the_sweep(study_file, tmp_path):
    path = study_file()
    overrides = ("optimizer={choice: [adam, sgd]}", "search.trials=50")
    with begin(load_checked(path, overrides), tmp_path / "run") as study:
        ending = sweep(study, Silent())
    assert ending.reason == "exhausted"
    assert len(ending.table.rows) == 4
    assert len({row[4:6] for row in ending.table.rows}) == 4


def test_the_time_limit_ends_the_sweep(study_file, tmp_path):
    with begin(load_checked(study_file(), ("run.limit.time=1e-9",)), tmp_path / "run") as study:
        ending = sweep(study, Silent())
    assert ending.reason == "time"
    assert ending.table.rows == ()


def test_a_failure_is_data_and_stops_no_neighbour(study_file, tmp_path):
    path = study_file()
    overrides = ("optimizer={choice: [{name: sgd, lr: 1e30}, {name: adam}]}", "search.trials=4")
    table = run_whole(path, tmp_path / "run", *overrides)
    states = [row[table.columns.index("status")] for row in table.rows]
    assert states == ["complete", "complete", "failed", "failed"]
    assert table.rows[-1][0] is None
    assert "diverged" in str(table.rows[-1][table.columns.index("failure")])
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(record.get("kind") == "diverged" for record in log) == 2


def test_the_run_folder_contains_the_config_the_results_and_the_best(study_file, tmp_path):
    path = study_file()
    table = run_whole(path, tmp_path / "run")
    folder = tmp_path / "run"
    assert (folder / "config.yaml").read_text() == path.read_text()
    with (folder / "results.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == table.columns
    assert len(rows) == 7
    assert rows[1][0] == "1"
    best_number = int(rows[1][1])
    kept = sorted(item.name for item in (folder / "checkpoints").iterdir())
    assert kept == [f"trial-{best_number:05d}.safetensors"]
    assert (folder / "best.yaml").is_file()


def test_every_epoch_is_on_record(study_file, tmp_path):
    run_whole(study_file(), tmp_path / "run", "search.trials=2")
    with open_to_read(RunFolder.open_existing(tmp_path / "run")) as study:
        epochs = study.log.epochs(1)
    assert [event.epoch for event in epochs] == [1, 2, 3, 4]
    assert all(isinstance(event, EpochEnded) and 0 <= event.metrics["val_accuracy"] <= 1 for event in epochs)


def test_a_trial_seed_may_be_fixed_or_searched(study_file, tmp_path):
    table = run_whole(
        study_file(), tmp_path / "run", "trial.seed={choice: [5, 6]}", "optimizer=adam", "search.trials=9"
    )
    seeds = {row[table.columns.index("trial.seed")] for row in table.rows}
    assert seeds == {5, 6}


def test_repeats_train_over_several_seeds_and_score_by_their_mean(study_file, tmp_path):
    path = study_file()
    table = run_whole(path, tmp_path / "run", "search.repeats=3", "search.trials=2")
    with open_to_read(RunFolder.open_existing(tmp_path / "run")) as study:
        (first, *_) = study.log.trials()
    assert first.outcome is not None
    assert first.outcome.metrics["val_accuracy_std"] >= 0
    exported = tmp_path / "best.yaml"
    exported.write_text(export(RunFolder.open_existing(tmp_path / "run"), None, None).text)
    assert train(load_checked(exported, ()), None).outcome.score == table.rows[0][3]


def test_a_display_that_fails_never_stops_training(study_file, tmp_path):
    class Closed(Silent):
        def happened(self, event):
            raise BrokenPipeError

    with begin(load_checked(study_file(), ()), tmp_path / "run") as study:
        assert sweep(study, Closed()).n_scored == 6


def test_a_signal_to_the_whole_process_group_costs_no_trial(study_file, tmp_path, tunecli):
    path = study_file()
    slow = [
        "--set",
        "training.epochs=3000",
        "--set",
        "run.engine=local",
        "--set",
        "run.workers=2",
        "--trials",
        "2",
    ]
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "tunecli", "search", str(path), "--out", str(folder), *slow]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while (
            not (folder / "study.db").is_file() or status(RunFolder(folder)).counts.get(State.RUNNING, 0) < 2
        ):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143
    with open_to_read(RunFolder.open_existing(folder)) as study:
        assert [trial.outcome for trial in study.log.trials()] == [None, None]


def test_a_reference_broken_only_at_run_time_fails_its_trial(study_file, tmp_path):
    spec = load_checked(study_file(), ("search.trials=2",))
    tree = spec.space.tree
    assert isinstance(tree, Group)
    broken = Reference("optimizer.nothing", tree.mark)
    hidden = replace(tree, items={**tree.items, "seed": broken})
    with begin(replace(spec, space=Space(hidden)), tmp_path / "run") as study:
        table = sweep(study, Silent()).table
    assert [row[table.columns.index("status")] for row in table.rows] == ["failed", "failed"]
    assert "no key `nothing`" in str(table.rows[0][-1])


@pytest.mark.parametrize(
    ("limit", "reason", "n_trials"),
    [("trials: 3", "trials", 3), ("epochs: 10", "epochs", 4), ("failures: 1", "complete", 6)],
)
def test_a_reached_limit_ends_the_sweep_at_the_same_trial_for_any_number_of_workers(
    study_file, tmp_path, limit, reason, n_trials
):
    path = study_file(**{"engine: inline}": f"limit: {{{limit}}}}}"})
    tables = []
    for workers, engine in ((1, "inline"), (2, "local")):
        spec = load_checked(path, (f"run.workers={workers}", f"run.engine={engine}"))
        with begin(spec, tmp_path / f"{workers}") as study:
            ending = sweep(study, Silent())
        assert (ending.reason, len(ending.table.rows)) == (reason, n_trials)
        tables.append(comparable(ending.table))
    assert tables[0] == tables[1]


def test_failures_are_counted_and_a_limit_lasts_through_resume(study_file, tmp_path):
    path = study_file(
        **{
            "loguniform: [1e-3, 1.0]": "loguniform: [1e29, 1e30]",
            "loguniform: [1e-4, 1e-1], default: 1e-2": "loguniform: [1e29, 1e30]",
            "engine: inline}": "engine: inline, limit: {failures: 1}}",
        }
    )
    with begin(load_checked(path, ()), tmp_path / "run") as study:
        first = sweep(study, Silent())
    assert first.reason == "failures"
    n_begun = len(first.table.rows)
    assert n_begun < 6
    with reopen(RunFolder.open_existing(tmp_path / "run"), {}) as study:
        again = sweep(study, Silent())
    assert (again.reason, len(again.table.rows)) == ("failures", n_begun)


def test_resume_raises_a_limit_from_now_on_and_changes_nothing_else(study_file, tmp_path):
    path = study_file(**{"engine: inline}": "engine: inline, limit: {trials: 2}}"})
    with begin(load_checked(path, ()), tmp_path / "run") as study:
        assert sweep(study, Silent()).reason == "trials"
    folder = RunFolder.open_existing(tmp_path / "run")
    with pytest.raises(UsageError, match="would make it a different study"), reopen(folder, {}, ("seed=4",)):
        pass
    with reopen(folder, {}, ("run.limit.trials=4",)) as study:
        assert sweep(study, Silent()).reason == "trials"
    with reopen(folder, {}) as study:
        ending = sweep(study, Silent())
    assert (ending.reason, len(ending.table.rows)) == ("trials", 4)
    with begin(load_checked(study_file(), ("search.trials=4",)), tmp_path / "whole") as study:
        assert comparable(sweep(study, Silent()).table) == comparable(ending.table)


def test_no_prepared_trial_begins_after_the_time_limit(study_file, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("tunecli.study.runner.record_writer.time", SimpleNamespace(monotonic=lambda: now[0]))

    def after(n_events: int) -> None:
        now[0] = 99.0 if n_events == 5 else now[0]

    overrides = (
        "search.lookahead=auto",
        "run.engine=local",
        "run.workers=1",
        "run.fuse=off",
        "run.limit.time=10s",
    )
    silent = Silent()
    with begin(load_checked(study_file(), overrides), tmp_path / "run") as study:
        assert study.plan.lookahead == 8
        ending = sweep(study, silent, FakeEngine(1, random.Random(0), after))
    assert ending.reason == "time"
    assert silent.started == [0]


class FillsTheDisk(FakeEngine):
    """An engine whose worker finds the disk full as soon as one trial has ended."""

    def events(self, wait_s):
        for event in super().events(wait_s):
            yield event
            if isinstance(event, Ended):
                raise DiskFull("no room is left")


def test_trials_that_ended_before_the_disk_was_full_are_on_record(study_file, tmp_path):
    overrides = ("run.engine=local", "run.workers=1", "run.fuse=off")
    with begin(load_checked(study_file(), overrides), tmp_path / "run") as study:
        with pytest.raises(DiskFull):
            sweep(study, Silent(), FillsTheDisk(1, random.Random(0)))
        ended = [trial.number for trial in study.log.trials() if trial.outcome is not None]
    assert ended == [0]


class CountsRecordedEnds(FakeEngine):
    """An engine that records, for each job, the number of trials on record as ended when a worker gets it."""

    def submit(self, *jobs):
        counts = self.log.counts()
        self.noted[jobs[0].number] = sum(counts[state] for state in (State.COMPLETE, State.FAILED))
        super().submit(*jobs)


@pytest.mark.parametrize(("lookahead", "n_ended_before"), [(8, -1), (1, 0)], ids=["ahead", "none ahead"])
def test_a_worker_gets_a_prepared_job_before_its_last_result_is_recorded(
    study_file, tmp_path, lookahead, n_ended_before
):
    overrides = (f"search.lookahead={lookahead}", "run.engine=local", "run.workers=1", "run.fuse=off")
    with begin(load_checked(study_file(), overrides), tmp_path / "run") as study:
        engine = CountsRecordedEnds(1, random.Random(0))
        engine.log, engine.noted = study.log, {}
        sweep(study, Silent(), engine)
    first, *later = (engine.noted[number] for number in range(6))
    assert first == 0
    assert later == [number + n_ended_before for number in range(1, 6)]
