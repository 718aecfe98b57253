"""`export --optuna` writes the study as Optuna itself would: states, values, parameters, curves and constraints."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from tests.study.sweeps import run_whole
from tests.verbs import called
from tunecli.commands.export_optuna import export_optuna
from tunecli.errors import NoTrialSucceeded, UsageError
from tunecli.store.database import Log
from tunecli.store.folder import RunFolder

OWN = """
def train(params, trial):
    for epoch in range(1, 4):
        trial.report(epoch, loss=params["x"] / epoch, size=params["n"])
    if trial.number == 1:
        raise ValueError("broken")
"""
STUDY = """\
study: copied
objective: {metric: loss, direction: minimize, subject_to: {size: "<= 20"}}
trial:
  python: 'own_copied:train'
  params:
    x: {uniform: [0, 1]}
    n: {logint: [1, 64]}
    noise: {normal: [0, 1]}
    step: {uniform: [0, 1], step: 0.25}
    base: {power: {base: 2, exponent: {int: [0, 5]}}}
    opt: {choice: [{name: sgd, lr: {loguniform: [0.001, 1]}}, {name: adam, lr: {loguniform: [0.00001, 0.1]}}]}
search: {sampler: random, trials: 8}
run: {engine: inline, device: cpu, workers: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optuna")
    (folder / "own_copied.py").write_text(OWN)
    (folder / "study.yaml").write_text(STUDY)
    run_whole(folder / "study.yaml", folder / "run")
    return folder / "run"


def test_every_trial_is_in_the_storage_as_it_is_on_record(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.db"
    view = export_optuna(RunFolder.open_existing(run), out)
    assert view.data == {"out": str(out), "trials": 8, "without_finite_values": 0}
    study = optuna.load_study(study_name="copied", storage=f"sqlite:///{out}")
    with Log.open_to_read(run / "study.db") as log:
        trials = log.trials()
        epochs = log.epochs_of([trial.number for trial in trials])
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    assert [trial.number for trial in study.trials] == [trial.number for trial in trials]
    for copy, trial in zip(study.trials, trials, strict=True):
        assert copy.intermediate_values == {
            epoch.epoch: epoch.metrics["loss"] for epoch in epochs[trial.number]
        }
        branch = trial.parameters["params.opt"]
        expected = {
            f"params.opt{{{branch}}}.lr" if name == "params.opt.lr" else name: value
            for name, value in trial.parameters.items()
        }
        assert copy.params == expected
        assert trial.outcome is not None
        if trial.number == 1:
            assert copy.state is optuna.trial.TrialState.FAIL
            assert "broken" in copy.user_attrs["failure"]
        else:
            assert copy.values == [trial.outcome.score]
            assert copy.system_attrs["constraints"] == [trial.outcome.metrics["size"] - 20]


def test_a_score_that_is_not_finite_becomes_a_failed_trial(tmp_path: Path) -> None:
    (tmp_path / "own_infinite.py").write_text(
        "def train(params, trial):\n    return {'a': float('inf') if params['x'] else 1.0, 'b': 2.0}\n"
    )
    (tmp_path / "study.yaml").write_text(
        "study: infinite\n"
        "objective: {pareto: [{metric: a, direction: minimize}, {metric: b, direction: maximize}]}\n"
        "trial: {python: 'own_infinite:train', params: {x: {choice: [0, 1]}}}\n"
        "search: {sampler: grid}\nrun: {engine: inline, device: cpu, workers: 1}\n"
    )
    run_whole(tmp_path / "study.yaml", tmp_path / "run")
    out = tmp_path / "o.db"
    export_optuna(RunFolder.open_existing(tmp_path / "run"), out)
    study = optuna.load_study(study_name="infinite", storage=f"sqlite:///{out}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL"]
    assert study.trials[0].values == [1.0, 2.0]


def test_a_file_that_exists_and_an_empty_study_are_refused(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.db"
    out.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        export_optuna(RunFolder.open_existing(run), out)
    assert out.read_text() == "mine"


def test_options_for_one_trial_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for more in (["--trial", "1"], ["-o", "x.yaml"], ["--weights", "w"], ["--test"]):
        code, _, err = called(
            "export", run, "--optuna", tmp_path / "o.db", *more, capture=capsys, monkeypatch=monkeypatch
        )
        assert code == 2
        assert f"--optuna does not work with {more[0]}" in err


def test_a_study_without_an_ended_trial_exits_with_3(tmp_path: Path) -> None:
    from tunecli.commands.check import load_checked
    from tunecli.study.record.lifecycle import begin

    (tmp_path / "own_copied.py").write_text(OWN)
    (tmp_path / "study.yaml").write_text(STUDY)
    with begin(load_checked(tmp_path / "study.yaml", ()), tmp_path / "run"):
        pass
    with pytest.raises(NoTrialSucceeded):
        export_optuna(RunFolder.open_existing(tmp_path / "run"), tmp_path / "o.db")
