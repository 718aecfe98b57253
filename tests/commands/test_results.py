"""`results --predict` in every format: a ranking that accounts for noise; and `results`, which needs no model."""

import json
import random

import pytest

from tests.study.fake_engine import FakeEngine
from tests.study.sweeps import Silent, run_whole
from tunecli.commands.check import load_checked
from tunecli.commands.results import Selection, mixtures, results, results_view
from tunecli.errors import UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin, open_to_read, reopen
from tunecli.study.record.publish import table_of
from tunecli.study.runner import coordinator
from tunecli.study.sweep import sweep

LUCKY = """\
import random

def train(params, trial):
    lucky = 0.6 if 0.75 < params["x"] < 0.8 else 0.0
    return {"score": 1 - abs(params["x"] - 0.3) + 0.05 * random.gauss(0, 1) + lucky}
"""
STUDY = """\
study: lucky
seed: 4
objective: {metric: score, direction: maximize}
trial: {python: "lucky:train", params: {x: {uniform: [0, 1]}}}
search: {sampler: quasirandom, trials: 24, lookahead: 1}
run: {device: cpu, engine: inline}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lucky")
    (path / "lucky.py").write_text(LUCKY)
    (path / "lucky.yaml").write_text(STUDY)
    with begin(load_checked(path / "lucky.yaml", ()), path / "run") as study:
        sweep(study, Silent())
    return RunFolder(path / "run")


def test_the_lucky_trial_ranks_first_and_is_not_predicted_best(folder):
    found = results(folder, is_predicted=True)
    first = found.table.rows[0]
    assert 0.75 < first[found.table.columns.index("params.x")] < 0.8
    number, prediction = found.best
    assert number != first[1]
    assert prediction.score > first[found.table.columns.index("predicted")] + 0.1
    assert found.line.startswith(f"trial {number} (") and f"not trial {first[1]} (" in found.line
    x_of = {row[1]: row[found.table.columns.index("params.x")] for row in found.table.rows}
    assert abs(x_of[number] - 0.3) < 0.2
    data = results_view(found).data
    assert data["predicted_best"]["trial"] == number
    assert data["trials"][0]["predicted"] == first[found.table.columns.index("predicted")]


def test_the_predicted_best_is_named_even_if_its_row_is_not_shown(folder):
    found = results(folder, n_shown=1, is_predicted=True)
    assert len(found.table.rows) == 1
    assert found.line == results(folder, is_predicted=True).line


def test_predictions_are_deterministic_and_do_not_change_the_recorded_table(folder):
    before = folder.results_path.read_bytes()
    assert results(folder, is_predicted=True) == results(folder, is_predicted=True)
    assert folder.results_path.read_bytes() == before
    with open_to_read(folder) as study:
        assert results(folder).table == table_of(study, study.log.trials())
    assert "predicted_best" not in results_view(results(folder)).data


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_every_format_shows_predictions(folder, tunecli, form):
    done = tunecli("results", folder.path, "--predict", "--format", form, "--top", 2)
    assert done.returncode == 0, done.stderr
    assert "predicted" in done.stdout and "uncertainty" in done.stdout
    if form == "json":
        assert json.loads(done.stdout)["predicted_best"]["uncertainty"] > 0
    else:
        assert "which has the best score" in done.stdout + done.stderr


def test_too_few_complete_trials_for_predictions_are_noted(study_file, tmp_path):
    with begin(load_checked(study_file(), ("search.trials=2",)), tmp_path / "run") as study:
        sweep(study, Silent(), FakeEngine(1, random.Random(0)))
    found = results(RunFolder(tmp_path / "run"), is_predicted=True)
    assert found.table == results(RunFolder(tmp_path / "run")).table
    assert found.notes == ("no predictions: the model needs 5 complete trials with different scores",)
    assert results_view(found).data["predicted_best"] is None


def test_results_note_different_package_versions(study_file, tmp_path, monkeypatch, tunecli):
    run_whole(study_file(), tmp_path / "run", "search.trials=2")
    with open_to_read(RunFolder(tmp_path / "run")) as study:
        assert mixtures(study.log, study.log.trials()) == []
    here = coordinator.versions()
    monkeypatch.setattr(coordinator, "versions", lambda *_: {**here, "torch": "9.9.9"})
    with reopen(RunFolder(tmp_path / "run"), {"n_trials": 3}) as study:
        sweep(study, Silent())
    with open_to_read(RunFolder(tmp_path / "run")) as study:
        (note,) = mixtures(study.log, study.log.trials())
    assert note == f"the trials ran with different versions of torch: {here['torch']}, 9.9.9"
    assert note in tunecli("results", tmp_path / "run").stderr


@pytest.mark.parametrize(
    "asked", [Selection(sort_by="predicted"), Selection(columns=("trial", "uncertainty"))]
)
def test_a_column_of_predictions_needs_predict(folder, asked):
    found = results(folder, is_predicted=True, selection=asked)
    assert {"predicted", "uncertainty"} & set(found.table.columns)
    with pytest.raises(UsageError, match="there is no column") as caught:
        results(folder, selection=asked)
    assert caught.value.hint == "add --predict"


def test_every_metric_is_in_the_table_in_json_and_in_results_csv(tmp_path):
    (tmp_path / "own.py").write_text(
        "def train(params, trial):\n    return {'score': params['x'], 'f1': 0.5, 'lr': 0.1}\n"
    )
    (tmp_path / "own.yaml").write_text(STUDY.replace("lucky:train", "own:train"))
    overrides = ("search.trials=2", "run.results.metrics=[f1,late]")
    with begin(load_checked(tmp_path / "own.yaml", overrides), tmp_path / "run") as study:
        sweep(study, Silent())
    folder = RunFolder(tmp_path / "run")
    header = folder.results_path.read_text().splitlines()[0]
    assert header.startswith("rank,trial,status,score,f1,late,params.x,epochs")
    found = results(folder, selection=Selection(metrics=("all",)))
    assert found.table.columns[:7] == ("rank", "trial", "status", "score", "f1", "lr", "params.x")
    assert [row[4:6] for row in found.table.rows] == [(0.5, 0.1), (0.5, 0.1)]
    selected = results(folder, selection=Selection(columns=("score",), n_shown=1))
    (record,) = results_view(selected).data["trials"]
    assert record == {"score": record["score"], "metrics": {"f1": 0.5, "lr": 0.1, "score": record["score"]}}


@pytest.mark.parametrize(
    "options", [(), ("--metrics",), ("--predict",), ("--failed",), ("--columns", "trial")]
)
def test_results_of_a_study_without_an_ended_trial_are_no_error(study_file, tmp_path, tunecli, options):
    with begin(load_checked(study_file(), ("search.trials=2",)), tmp_path / "run"):
        pass
    done = tunecli("results", tmp_path / "run", *options)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    if options[:1] not in [("--failed",), ("--columns",)]:
        assert done.stdout.startswith("trials  none has ended so far; tunecli status ")
