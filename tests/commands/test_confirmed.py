"""A confirmation in the verbs that read a study: `results`, `export` and `verify`."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.study.conftest import STUDY
from tests.study.sweeps import run_whole
from tunecli.commands.confirm import _run_line, confirm
from tunecli.commands.export import ExportFiles, export, export_view
from tunecli.commands.predict import Request as Prediction
from tunecli.commands.predict import predict
from tunecli.commands.results import results, results_view
from tunecli.commands.verify import require_reproduced
from tunecli.commands.verify_confirmed import verify_confirmed
from tunecli.errors import UsageError
from tunecli.search.prediction import predict_trials
from tunecli.store.folder import RunFolder
from tunecli.study.record.candidates import Request
from tunecli.study.record.confirmation import confirmed_of_study, recorded_confirmations
from tunecli.study.record.history import History
from tunecli.study.record.lifecycle import open_to_read
from tunecli.study.record.publish import document
from tunecli.trial import Stage

TEXT = (
    STUDY.replace("trials: 6", "trials: 8")
    .replace("epochs: 4", "epochs: 1")
    .replace("inline}", "inline, report: off}")
)


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("confirmed")
    (folder / "small.yaml").write_text(TEXT)
    run_whole(folder / "small.yaml", folder / "run")
    shutil.copytree(folder / "run", folder / "plain")
    confirm(RunFolder(folder / "run"), Request(numbers=(2, 3), n_repeats=3))
    return folder


@pytest.fixture
def folder(original) -> RunFolder:
    return RunFolder(original / "run")


@pytest.fixture
def plain(original) -> RunFolder:
    return RunFolder(original / "plain")


def rows_of(folder: RunFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(results_view(results(folder), "csv").raw)))


def test_the_table_has_the_confirmed_score_and_keeps_its_order(folder, plain):
    rows, before = rows_of(folder), rows_of(plain)
    assert [row["trial"] for row in rows] == [row["trial"] for row in before]
    assert list(rows[0])[4:6] == ["confirmed", "±"]
    assert {row["trial"] for row in rows if row["confirmed"]} == {"0", "2", "3"}
    with open_to_read(folder) as study:
        value = confirmed_of_study(study)
    assert value is not None and value.quote is not None and value.quote.score is not None
    quoted = next(row for row in rows if row["trial"] == str(value.quote.number))
    assert float(quoted["confirmed"]) == value.quote.score.mean
    assert "confirmed" not in before[0]
    assert folder.results_path.read_bytes() == plain.results_path.read_bytes()


def test_export_takes_the_confirmed_trial_and_names_it_otherwise(folder, plain):
    with open_to_read(folder) as study:
        value = confirmed_of_study(study)
        assert value is not None and value.quote is not None
        number = value.quote.number
        other = next(trial.number for trial in study.log.trials() if trial.number != number)
        text = document(study, study.log.trial(number))
    assert export(folder, "confirmed", None).text == text
    assert f"trial {number} was confirmed" in export(folder, other, None).note
    assert export(folder, number, None).note == ""
    assert export(plain, other, None).note == ""
    with pytest.raises(UsageError, match="exclude"):
        export_view(folder, 2, ExportFiles(), is_confirmed=True)
    with pytest.raises(UsageError, match="no trial of this study is confirmed"):
        export(plain, "confirmed", None)


def test_a_confirmed_run_is_reproduced_to_the_last_bit(folder, plain):
    verification = verify_confirmed(folder, is_exact=True)
    require_reproduced(verification)
    [verified] = verification.trials
    assert verified.again.score == verified.recorded.score
    with pytest.raises(UsageError, match="no trial of this study is confirmed"):
        verify_confirmed(plain)


def test_the_measured_noise_makes_predictions_less_certain(plain):
    with open_to_read(plain) as study:
        history = History(study.log.trials(), study.spec.objective).up_to(8)
        space = study.spec.space
    free, floored, low = (predict_trials(space, history, 3, noise) for noise in (0.0, 0.2, 1e-9))
    assert free and free == low
    spread = [
        max(one.loss for one in each.values()) - min(one.loss for one in each.values())
        for each in (free, floored)
    ]
    assert spread[1] < spread[0], "noisy scores are drawn towards their mean"


def test_predict_takes_the_confirmed_trial(folder, plain, tmp_path):
    with open_to_read(folder) as study:
        confirmed = confirmed_of_study(study)
    assert confirmed is not None
    assert confirmed.quote is not None
    np.savez(tmp_path / "new.npz", x=np.ones((2, 4)))
    found = predict(str(folder.path), tmp_path / "new.npz", Prediction(is_confirmed=True))
    assert found.models == (f"trial {confirmed.quote.number}",)
    with pytest.raises(UsageError, match="no trial of this study is confirmed"):
        predict(str(plain.path), tmp_path / "new.npz", Prediction(is_confirmed=True))
    with pytest.raises(UsageError, match="--confirmed excludes --trial"):
        predict(str(folder.path), tmp_path / "new.npz", Prediction(number=1, is_confirmed=True))


def test_the_line_of_a_fresh_run_names_another_machine_than_this_one(folder):
    with open_to_read(folder) as study:
        (recorded,) = recorded_confirmations(study)
        metric = study.spec.objective.metric
    run = recorded.of(2, Stage.RACE)[1]
    away, here = replace(run, host="n7"), replace(run, host="")
    assert _run_line(metric, recorded, away).startswith(f"trial 2, run 2 of 3 on n7: {metric} ")
    assert _run_line(metric, recorded, here).startswith(f"trial 2, run 2 of 3: {metric} ")
