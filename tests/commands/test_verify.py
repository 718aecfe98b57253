"""`verify` reproduces a recorded trial, or reports the difference and its possible causes."""

import json
import math
import shutil
import sqlite3
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.study.conftest import STUDY
from tests.verbs import called
from tunecli.cli import main
from tunecli.commands.results import results
from tunecli.commands.verify import verify
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.results.comparison import Verdict
from tunecli.store.checksums import add_checksums
from tunecli.store.folder import RunFolder
from tunecli.store.lock import hold

OWN = """\
study: own
seed: 3
objective: {metric: height, direction: minimize}
trial:
  python: mine:train
  params: {x: {uniform: [0.0, 2.0]}}
search: {sampler: random, trials: 4, lookahead: 2}
run: {device: cpu, engine: inline}
"""
MINE = """\
def train(params, trial):
    if params["x"] > 1.5:
        raise ValueError("too far")
    for epoch in range(2):
        trial.report(epoch, height=(params["x"] - 1.0) ** 2)
"""
COMMAND = """\
study: command
objective: {metric: height, direction: minimize}
trial:
  command: [bash, -c, 'echo "{{\\"height\\": {x}}}"; {end}']
  params: {x: {uniform: [0.0, 2.0], grid: 2}, end: {choice: ["true", "kill -9 $$"]}}
search: {sampler: grid}
run: {device: cpu, engine: inline}
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The run folder of the small study, which runs once for all tests."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "small.yaml").write_text(STUDY)
    with pytest.raises(SystemExit) as caught:
        main(["search", str(folder / "small.yaml"), "--out", str(folder / "run")])
    assert not caught.value.code
    return folder / "run"


@pytest.fixture
def run(searched, tmp_path) -> RunFolder:
    """A copy of the run folder that a test can change."""
    return RunFolder(Path(shutil.copytree(searched, tmp_path / "run")))


@pytest.fixture
def tunecli(tmp_path, capfd, monkeypatch):
    """Run a verb in this process and return its exit code, its stdout and its stderr."""
    monkeypatch.chdir(tmp_path)
    return partial(called, capture=capfd, monkeypatch=monkeypatch)


def alter(run: RunFolder, statement: str, *values: object) -> None:
    """Change a row of the record and its checksum, which no version of tunecli does."""
    connection = sqlite3.connect(run.database_path)
    with connection:
        assert connection.execute(statement, values).rowcount
        add_checksums(connection)
    connection.close()


def metrics_with(score: str) -> str:
    return f"metrics = json_set(metrics, '$.val_accuracy', {score})"


def fact(run: RunFolder, key: str, value: object) -> None:
    alter(run, "UPDATE study SET value = ? WHERE key = ?", json.dumps(value), key)


def alter_metric(run: RunFolder, number: int, epoch: int, metric: str, factor: float) -> None:
    connection = sqlite3.connect(run.database_path)
    query = "SELECT metrics FROM epoch WHERE number = ? AND epoch = ?"
    metrics = json.loads(connection.execute(query, (number, epoch)).fetchone()[0])
    connection.close()
    metrics[metric] *= factor
    statement = "UPDATE epoch SET metrics = ? WHERE number = ? AND epoch = ?"
    alter(run, statement, json.dumps(metrics), number, epoch)


def best_number(run: RunFolder) -> int:
    return int(results(run).table.rows[0][1])


def test_verify_runs_the_best_trial_and_reproduces_its_bits(run, tunecli):
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    code, out, err = tunecli("verify", run.path, "--exact")
    assert code == 0, err
    number = best_number(run)
    assert out.splitlines()[1].split()[:2] == [str(number), "bit-identical"]
    assert "1 of 1 to the last bit" in out
    after = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    assert {p: b for p, b in after.items() if p.suffix not in (".db-shm", ".db-wal")} == before


def test_verify_all_reports_bit_identical_trials_in_json(run, tunecli):
    code, out, _ = tunecli("verify", run.path, "--all", "--json")
    body = json.loads(out)
    assert (code, body["schema_version"], body["kind"], body["reproduced"]) == (0, 1, "verify", True)
    assert [trial["trial"] for trial in body["trials"]] == [0, 1, 2, 3, 4, 5]
    assert {trial["verdict"] for trial in body["trials"]} == {"bit-identical"}
    assert all(trial["recorded"]["score"] == trial["again"]["score"] for trial in body["trials"])


def test_a_sample_is_the_same_each_time_and_at_most_all_trials(run):
    told = []
    first = verify(run, n_sampled=2, progress=told.append)
    assert len({each.number for each in first.trials}) == 2
    assert tuple(told) == first.trials
    assert [each.number for each in verify(run, n_sampled=2).trials] == [each.number for each in first.trials]
    assert [each.number for each in verify(run, n_sampled=100).trials] == [0, 1, 2, 3, 4, 5]


def test_a_changed_score_is_not_reproduced_and_exits_3(run, tunecli):
    number = best_number(run)
    alter(run, f"UPDATE result SET score = '0.999', {metrics_with('0.999')} WHERE number = ?", number)
    code, out, err = tunecli("verify", run.path, "--json")
    assert code == 3
    assert json.loads(err.splitlines()[-1])["message"] == f"1 of 1 not reproduced: trial {number}"
    [trial] = json.loads(out)["trials"]
    largest = trial["largest_absolute"]
    assert (trial["verdict"], largest["metric"], largest["epoch"]) == ("not reproduced", "val_accuracy", None)
    assert largest["absolute"] == 0.999 - trial["again"]["score"]
    assert trial["possible_causes"] == [], "nothing is otherwise than it was"


def test_a_changed_metric_of_one_epoch_is_located(run):
    alter_metric(run, 2, 3, "val_loss", 1.01)
    [found] = verify(run, number=2).trials
    assert found.comparison.verdict is Verdict.NOT_REPRODUCED
    assert (found.comparison.relative.metric, found.comparison.relative.epoch) == ("val_loss", 3)
    assert math.isclose(found.comparison.relative.relative, 0.01 / 1.01)


def test_verify_exact_refuses_a_difference_within_tolerance(run, tunecli):
    alter_metric(run, 1, 2, "train_loss", 1 + 1e-8)
    assert verify(run, number=1).trials[0].comparison.verdict is Verdict.WITHIN_TOLERANCE
    code, out, _ = tunecli("verify", run.path, "--trial", 1)
    assert code == 0
    assert "within tolerance" in out
    assert "train_loss of epoch 2" in out
    assert tunecli("verify", run.path, "--trial", 1, "--exact")[0] == 3


def test_changed_versions_are_named_as_a_possible_cause(run, tunecli):
    fact(run, "versions", {"tunecli": "0.0.1", "torch": "1.0"})
    assert verify(run, number=0).trials[0].causes == (), "an identical trial has no causes"
    alter_metric(run, 0, 1, "train_loss", 2.0)
    code, out, _ = tunecli("verify", run.path, "--trial", 0)
    assert code == 3
    assert "possible cause  version: torch was 1.0, now " in out


def test_another_device_is_a_cause_and_a_missing_one_is_an_error(run):
    alter(run, f"UPDATE result SET device = 'cuda:77', score = '0.5', {metrics_with('0.5')} WHERE number = 0")
    with pytest.raises(UsageError, match="cuda:77") as caught:
        verify(run, number=0)
    assert "--device" in caught.value.hint
    [found] = verify(run, number=0, device="cpu").trials
    assert found.causes == ("device: recorded on cuda:77, run again on cpu",)


def test_fewer_epochs_on_record_are_reported(run):
    alter(run, "DELETE FROM epoch WHERE number = 4 AND epoch = 4")
    [found] = verify(run, number=4).trials
    assert found.comparison.verdict is Verdict.NOT_REPRODUCED
    assert found.comparison.reason == "epochs reported: 4, but the record says 3"


def test_a_pruned_trial_is_run_up_to_its_last_epoch(run):
    alter(run, "DELETE FROM epoch WHERE number = 4 AND epoch > 2")
    alter(run, "UPDATE result SET state = 'pruned', epochs = 2, kept_epoch = 2 WHERE number = 4")
    [found] = verify(run, number=4).trials
    assert found.comparison.verdict is Verdict.IDENTICAL
    assert found.again.epochs == 2


def test_a_study_held_by_another_process_can_be_verified(run):
    with hold(run.path):
        assert verify(run, number=3).unreproduced == ()


def test_trials_that_cannot_be_verified_are_errors(run, tunecli):
    assert tunecli("verify", run.path, "--trial", 6)[0] == 2
    assert tunecli("verify", run.path, "--trial", 1, "--all")[0] == 2
    alter(run, "DELETE FROM result")
    assert tunecli("verify", run.path, "--trial", 1)[0] == 2
    with pytest.raises(NoTrialSucceeded):
        verify(run, is_all=True)


@pytest.fixture
def own(tmp_path, tunecli) -> RunFolder:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "own.yaml").write_text(OWN)
    assert tunecli("search", "own.yaml")[0] == 0
    return RunFolder.find("own")


def edit(text: str) -> None:
    """Change the user module, and unload it so that this process imports it again."""
    Path("mine.py").write_text(text)
    del sys.modules["mine"]


def numbers(run: RunFolder, status: str) -> list[int]:
    return [int(row[1]) for row in results(run).table.rows if row[2].startswith(status)]


def test_a_user_function_is_verified_and_its_failure_fails_again(own):
    assert {each.comparison.verdict for each in verify(own, is_all=True).trials} == {Verdict.IDENTICAL}
    for number in numbers(own, "failed"):
        assert verify(own, number=number, is_exact=True).unreproduced == ()
    failed = verify(own, number=numbers(own, "failed")[0]).trials[0]
    assert failed.comparison.verdict is Verdict.FAILED_AGAIN


def test_changed_user_code_is_named(own, tunecli):
    edit(MINE.replace("- 1.0", "- 1.25"))
    code, out, _ = tunecli("verify", "own")
    assert code == 3
    assert "possible cause  code: mine.py has changed" in out


def test_a_failure_that_no_longer_fails_is_not_reproduced(own):
    edit(MINE.replace("> 1.5", "> 2.25"))
    [found] = verify(own, number=numbers(own, "failed")[0]).trials
    assert found.comparison.reason == "it is complete, but the record says failed: error"


def test_a_failure_of_another_kind_is_not_reproduced(own):
    number = numbers(own, "failed")[0]
    failure = json.dumps({"kind": "oom", "cause": "no memory", "traceback": ""})
    alter(own, "UPDATE result SET failure = ? WHERE number = ?", failure, number)
    [found] = verify(own, number=number).trials
    assert (
        found.comparison.reason
        == "it is failed: error (ValueError: too far (mine.py:3)), but the record says failed: oom"
    )


def test_a_command_is_verified_and_its_crash_crashes_again(tmp_path, tunecli):
    (tmp_path / "command.yaml").write_text(COMMAND)
    assert tunecli("search", "command.yaml")[0] == 0
    run = RunFolder.find("command")
    verdicts = [verify(run, number=number).trials[0].comparison.verdict for number in range(4)]
    assert {Verdict.IDENTICAL, Verdict.FAILED_AGAIN} == set(verdicts)


def test_a_function_that_ends_its_process_is_verified_in_a_worker(own):
    edit("import os\n\n\ndef train(params, trial):\n    os._exit(9)\n")
    number = numbers(own, "failed")[0]
    failure = json.dumps({"kind": "crash", "cause": "the worker ended", "traceback": ""})
    alter(own, "UPDATE result SET failure = ? WHERE number = ?", failure, number)
    assert verify(own, number=number).trials[0].comparison.verdict is Verdict.FAILED_AGAIN


def test_a_changed_or_missing_data_file_is_named(tmp_path, tunecli):
    rows = "".join(f"{i % 7},{i % 5},{(i % 7) * 2 + i % 5}\n" for i in range(60))
    (tmp_path / "mine.csv").write_text("a,b,c\n" + rows)
    (tmp_path / "table.yaml").write_text(
        "study: table\nobjective: {metric: val_loss}\n"
        "trial:\n  data: {source: mine.csv, target: c, task: regression}\n  model: linear\n"
        "  optimizer: {name: sgd, lr: {loguniform: [1e-3, 1e-2]}}\n  training: {epochs: 2}\n"
        "search: {sampler: random, trials: 1}\nrun: {device: cpu, engine: inline}\n"
    )
    assert tunecli("search", "table.yaml")[0] == 0
    assert tunecli("verify", "table", "--exact")[0] == 0
    (tmp_path / "mine.csv").write_text("a,b,c\n" + rows + "1,2,3\n")
    code, out, _ = tunecli("verify", "table")
    assert code == 3
    assert "data: mine.csv has changed" in out
    (tmp_path / "mine.csv").unlink()
    assert "data: mine.csv is gone" in tunecli("verify", "table")[1]


ENDLESS = """\
study: endless
objective: {metric: loss}
trial:
  command: [sh, -c, 'i=0; while true; do i=$((i+1)); echo "{{\\"{key}\\": $i, \\"loss\\": {x}}}"; sleep 0.01; done']
  params: {x: {uniform: [0.0, 2.0]}, key: {choice: [epoch, step], grid: 2}}
search: {sampler: random, trials: 1}
run: {device: cpu, engine: inline, trial_limit: {time: 0.3}, on_failure: {timeout: keep}}
"""


@pytest.mark.parametrize(("key", "verdict"), [("epoch", Verdict.IDENTICAL), ("step", Verdict.NOT_REPEATABLE)])
def test_a_trial_that_a_time_limit_ended_is_run_again_up_to_its_last_epoch(tmp_path, tunecli, key, verdict):
    path = tmp_path / "endless.yaml"
    path.write_text(ENDLESS.replace("{choice: [epoch, step], grid: 2}", key))
    assert tunecli("search", path, "--out", tmp_path / "run")[0] == 0
    verified = verify(RunFolder(tmp_path / "run"))
    assert verified.trials[0].comparison.verdict is verdict
    assert "run.trial_limit.time, 0.3 s, has passed" in verified.trials[0].comparison.reason
    assert not verified.unreproduced
    code, out, _ = tunecli("results", tmp_path / "run", "--trial", 0, "--json")
    one = json.loads(out)
    assert (code, one["status"], one["ended_by"]["kind"], one["setbacks"]) == (0, "complete", "timeout", [])
    n_epochs = one["epochs"] or None
    exported = tunecli("export", tmp_path / "run")[1]
    assert ("trial_limit:" in exported and f"epochs: {n_epochs}" in exported) == (n_epochs is not None)
