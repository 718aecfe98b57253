"""A study as an object: each attribute reads the record, also while a sweep writes it."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunecli
from tests.support.recorded import recorded_study
from tunecli.messages import Ended, Started
from tunecli.study.record.lifecycle import reopen
from tunecli.trial import Outcome, State

TRAINED: dict[str, Any] = {
    "study": "trained",
    "seed": 3,
    "objective": {"metric": "val_accuracy"},
    "trial": {
        "model": {"name": "mlp", "hidden": [4]},
        "optimizer": {"name": "sgd", "lr": {"loguniform": [1e-2, 1.0]}},
        "training": {"epochs": 2},
    },
    "search": {"trials": 2, "sampler": "random"},
    "run": {"engine": "inline", "device": "cpu", "report": "off"},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tunecli.Study:
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    for name, n_rows in (("train.csv", 60), ("valid.csv", 30)):
        rows = [
            f"{a},{b},{'yes' if a + b + rng.normal() > 0 else 'no'}\n"
            for a, b in rng.normal(size=(n_rows, 2))
        ]
        (folder / name).write_text("a,b,y\n" + "".join(rows))
    data = {"source": folder / "train.csv", "target": "y", "validation": {"file": folder / "valid.csv"}}
    config = {**TRAINED, "trial": {**TRAINED["trial"], "data": data}}
    return tunecli.search(config, out=folder / "run", progress=False)


def test_a_recorded_study_is_read_by_its_folder_and_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_study(tmp_path, [0.5, 0.25, "broken", None])
    study = tunecli.open_study(tmp_path / "run")
    assert (study.name, study.status, study.ending) == ("written", "interrupted", None)
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3]
    assert study.best == study.trials[1]
    assert study.trials[2].outcome is not None
    assert study.trials[2].outcome.failure == tunecli.Failure(tunecli.FailureKind.ERROR, "broken")
    (tmp_path / "runs").mkdir()
    (tmp_path / "run").rename(tmp_path / "runs" / "other")
    monkeypatch.chdir(tmp_path)
    assert tunecli.open_study("other").path == tmp_path / "runs" / "other"
    with pytest.raises(tunecli.UsageError, match="no study in"):
        tunecli.open_study(Path("other"))


def test_results_are_the_rows_of_results_csv(tmp_path: Path) -> None:
    recorded_study(tmp_path, [0.5, 0.25, "broken", None])
    rows = tunecli.open_study(tmp_path / "run").results()
    assert rows.columns[:4] == ("rank", "trial", "status", "loss")
    assert [(row["rank"], row["trial"], row["loss"]) for row in rows] == [
        (1, 1, 0.25),
        (2, 0, 0.5),
        (None, 2, None),
    ]
    assert rows[2]["failure"] == "error: broken"


def test_epochs_are_rows_of_metrics(tmp_path: Path) -> None:
    recorded_study(tmp_path, [0.5, 0.25], metrics=lambda epoch, score: {"extra": 2.0} if epoch == 2 else {})
    study = tunecli.open_study(tmp_path / "run")
    assert study.epochs(0).columns == ("epoch", "loss", "extra", "seconds")
    assert [row["extra"] for row in study.epochs(0)] == [None, 2.0, None]
    assert study.epochs() == study.epochs(1)
    with pytest.raises(tunecli.UsageError, match="no trial 9"):
        study.epochs(9)


def test_a_study_without_a_score_has_no_best_trial(tmp_path: Path) -> None:
    recorded_study(tmp_path, ["broken", None])
    study = tunecli.open_study(tmp_path / "run")
    assert study.best is None
    for read in (study.epochs, study.config, study.load_model, study.checkpoint_dir):
        with pytest.raises(tunecli.NoTrialSucceeded):
            read()


def test_a_study_object_shows_each_change_of_the_record(tmp_path: Path) -> None:
    folder = recorded_study(tmp_path, [0.5, None])
    study = tunecli.open_study(folder.path)
    assert study.trials[1].state is State.WAITING
    with reopen(folder, {}) as opened:
        opened.log.append_start(Started(1, 1, "cpu", 0))
        assert (study.status, study.trials[1].state) == ("running", State.RUNNING)
        outcome = Outcome(State.COMPLETE, 0.125, {"loss": 0.125}, 1, 1, 0.1, "cpu")
        opened.log.append_result(Ended(1, 1, outcome))
        assert study.trials[1].state is State.COMPLETE
        assert study.best == study.trials[1]
    assert study.status == "interrupted"


def test_the_trials_are_read_once_while_the_record_stays_the_same(tmp_path: Path) -> None:
    folder = recorded_study(tmp_path, [0.5, 0.25])
    study = tunecli.open_study(folder.path)
    before = time.time_ns() - 10**9  # a record that was written a moment ago is read each time
    os.utime(folder.database_path, ns=(before, before))
    assert study.trials is study.trials
    os.utime(folder.database_path)
    assert study.trials is not study.trials


def test_a_deleted_study_is_an_error_of_tunecli(tmp_path: Path) -> None:
    folder = recorded_study(tmp_path, [0.5])
    study = tunecli.open_study(folder.path)
    assert len(study.trials) == 1
    folder.database_path.unlink()
    with pytest.raises(tunecli.UsageError):
        study.trials  # noqa: B018  # the access alone raises


def test_a_notebook_shows_escaped_names(tmp_path: Path) -> None:
    folder = recorded_study(tmp_path, [0.5, "<script>alert(1)</script>"])
    study = tunecli.open_study(folder.path)
    assert "<script>" not in study._repr_html_()
    assert "&lt;script&gt;" in study._repr_html_()
    assert repr(study).startswith("<Study written: interrupted, 2 trials, best 0.5 (trial 0), ")


def test_the_configuration_of_a_trial_runs_to_its_score(trained: tunecli.Study, tmp_path: Path) -> None:
    config = trained.config(1)
    assert config["trial"]["optimizer"]["lr"] == trained.trials[1].parameters["optimizer.lr"]
    again = tunecli.search(config, out=tmp_path / "run", progress=False)
    assert again.best is not None
    assert again.best.outcome is not None
    assert trained.trials[1].outcome is not None
    assert again.best.outcome.metrics == trained.trials[1].outcome.metrics


def test_a_loaded_model_reproduces_the_recorded_score(trained: tunecli.Study) -> None:
    with (trained.path.parent / "valid.csv").open(newline="") as file:
        names = [row["y"] for row in csv.DictReader(file)]
    for trial in trained.trials:
        model = trained.load_model(trial.number)
        predicted = model.predict(trained.path.parent / "valid.csv")
        assert trial.outcome is not None
        assert np.mean(predicted == np.array(names)) == pytest.approx(trial.outcome.score, abs=1e-12)
        assert isinstance(model.module, torch.nn.Module)
    assert trained.best is not None
    assert trained.best.outcome is not None
    assert trained.load_model().facts.score == trained.best.outcome.score


def test_the_model_of_all_rows_is_loaded_as_predict_uses_it(trained: tunecli.Study, tmp_path: Path) -> None:
    with pytest.raises(tunecli.UsageError, match="has no model of all rows") as refused:
        trained.load_model(refit=True)
    assert "--refit" in refused.value.hint
    data = {"source": trained.path.parent / "train.csv", "target": "y"}
    config = {**TRAINED, "trial": {**TRAINED["trial"], "data": data}, "search": {"trials": 2, "refit": "all"}}
    study = tunecli.search(config, out=tmp_path / "run", progress=False)
    assert study.best is not None
    assert study.best.outcome is not None
    refit, scored = study.load_model(refit=True), study.load_model()
    assert (refit.facts.score, scored.facts.score) == (None, study.best.outcome.score)
    written = tunecli.load_model(study.path / "refit.safetensors")
    rows = trained.path.parent / "valid.csv"
    assert np.array_equal(refit.predict_proba(rows), written.predict_proba(rows))
    with pytest.raises(tunecli.UsageError, match="has no model of all rows"):
        study.load_model(1 - study.best.number, refit=True)


def test_the_files_of_an_own_function_are_in_its_checkpoint_folder(tmp_path: Path) -> None:
    folder = recorded_study(tmp_path, [0.5, 0.25])
    study = tunecli.open_study(folder.path)
    assert study.checkpoint_dir(0) == folder.path / "checkpoints" / "trial-00000"
    assert study.checkpoint_dir() == study.checkpoint_dir(1)
