"""`search.refit` keeps a model trained on all rows in the run folder, and says that it has no score."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.study.sweeps import Silent
from tests.support.recorded import OWN
from tests.support.recorded import STUDY as OWN_STUDY
from tunecli import load_model
from tunecli.commands.check import load_checked
from tunecli.commands.export import export
from tunecli.commands.predict import Request, predict
from tunecli.commands.search import ending_view, resume, search
from tunecli.errors import ConfigError, UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.refitting import REFIT, recorded_refit

CHANGED = {
    "engine: inline": "engine: inline, report: off",
    "source: iris": "source: iris, validation: {folds: 2}, test: {fraction: 0.2}",
}


def searched(path, folder, *overrides):
    return search(load_checked(path, overrides), folder, Silent(), lambda _: None)


def continued(folder, **changes):
    silent = {"config_path": None, "fork_name": None, "display": Silent(), "say": lambda _: None}
    return resume(str(folder), changes, (), **silent)


@pytest.fixture
def rows(tmp_path):
    np.savez(tmp_path / "new.npz", x=np.random.default_rng(0).normal(size=(5, 4)))
    return tmp_path / "new.npz"


def test_the_best_trial_is_trained_on_all_rows_and_predicts(study_file, tmp_path, rows):
    path, folder = study_file(**CHANGED), RunFolder(tmp_path / "run")
    ending = searched(path, folder.path, "search.trials=2", "search.refit=all")
    assert ending.refit is not None
    assert dict(ending_view(ending).lines)["refit"].startswith(
        f"trial {ending.refit.trial} on all rows, 4 epochs; no"
    )
    with open_to_read(folder) as study:
        trial = study.log.trial(ending.refit.trial)
        assert study.log.facts()[REFIT]["sha256"] == ending.refit.sha256
        assert recorded_refit(study, trial) is not None
        assert len(study.log.trials()) == 2, "it is no trial"
    model = load_model(folder.refit_path)
    assert (model.facts.score, len(model.models)) == (None, 1)
    assert "no validation score" in model.facts.note
    predicted = predict(str(folder.path), rows, Request())
    assert predicted.models == (f"trial {trial.number}, trained on all rows",)
    assert predict(str(folder.path), rows, Request(number=trial.number)).models == (f"trial {trial.number}",)

    content = folder.refit_path.read_bytes()
    folder.refit_path.write_bytes(content[:-1])  # as a crash of the disk may leave it
    assert continued(folder.path).refit.sha256 == ending.refit.sha256
    assert folder.refit_path.read_bytes() == content

    export(folder, None, None, tmp_path / "m.safetensors", is_refit=True)
    assert (tmp_path / "m.safetensors").read_bytes() == content


def test_a_study_without_the_setting_trains_on_all_rows_when_it_is_exported(study_file, tmp_path):
    path, folder = study_file(**CHANGED), RunFolder(tmp_path / "run")
    assert searched(path, folder.path, "search.trials=2").refit is None
    assert not folder.refit_path.exists()
    export(folder, None, None, tmp_path / "m.safetensors", is_refit=True)
    assert load_model(tmp_path / "m.safetensors").facts.score is None
    assert not folder.refit_path.exists()
    with pytest.raises(UsageError, match="--refit needs --model"):
        export(folder, None, None, is_refit=True)
    lines = [json.loads(line) for line in folder.log_path.read_text().splitlines()]
    assert not [line for line in lines if "refit" in line]


def test_your_own_trial_is_not_refitted(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "s.yaml").write_text(OWN_STUDY.replace("trials: 60", "trials: 60, refit: all"))
    with pytest.raises(ConfigError, match="train on all of them in your code"):
        load_checked(tmp_path / "s.yaml", ())
