"""`curve` shows a metric of a trial at each of its epochs: drawn, as a table, as CSV and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.study.sweeps import run_whole
from tests.verbs import called
from tunecli.commands.curve import curve, curve_view, require_form
from tunecli.errors import UsageError
from tunecli.store.folder import RunFolder

OWN = """
def train(params, trial):
    for epoch in range(1, 5):
        trial.report(epoch, val_loss=params["x"] / epoch, **({"size": epoch * 1.5} if epoch > 2 else {}))
    if params["x"] == 3:
        raise ValueError("broken")
"""
STUDY = """\
study: own
objective: {metric: val_loss}
trial: {python: 'own_curve:train', params: {x: {choice: [2, 1, 3]}}}
search: {sampler: grid}
run: {engine: inline, device: cpu, workers: 1}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("curve")
    (folder / "own_curve.py").write_text(OWN)
    (folder / "own.yaml").write_text(STUDY)
    run_whole(folder / "own.yaml", folder / "run")
    return RunFolder.open_existing(folder / "run")


def test_without_a_number_the_curve_is_that_of_the_best_trial(run: RunFolder) -> None:
    course = curve(run)
    assert (course.number, course.metrics, course.kept_epoch) == (1, ("val_loss",), 4)
    assert course.epochs == (1, 2, 3, 4)
    assert course.values["val_loss"] == (1.0, 0.5, 1 / 3, 0.25)


def test_the_curve_of_a_failed_trial_has_its_epochs_and_no_kept_one(run: RunFolder) -> None:
    view = curve_view(curve(run, 2))
    assert view.data["status"] == "failed"
    assert view.data["metrics"]["val_loss"] == [3.0, 1.5, 1.0, 0.75]
    assert view.charts[0].mark == ""


def test_a_metric_that_some_epochs_lack_has_gaps(run: RunFolder) -> None:
    course = curve(run, 0, "all")
    view = curve_view(course)
    assert view.data["metrics"]["size"] == [None, None, 4.5, 6.0]
    assert [row[1] for row in view.sections[0].rows] == ["—", "—", "4.5", "6"]
    assert curve_view(course, "csv").raw.splitlines()[:2] == ["epoch,size,val_loss", "1,,2.0"]


def test_the_json_document_has_every_digit(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = called("curve", run.path, "--trial", 1, "--json", capture=capsys, monkeypatch=monkeypatch)
    document = json.loads(out)
    assert (code, document["kind"], document["trial"]) == (0, "curve", 1)
    assert document["metrics"]["val_loss"][2] == 1 / 3


def test_wrong_names_are_refused_with_those_that_exist(run: RunFolder) -> None:
    with pytest.raises(UsageError, match="no trial reported `val_los`"):
        curve(run, 0, "val_los")
    with pytest.raises(UsageError, match="there is no trial 7"):
        curve(run, 7)
    with pytest.raises(UsageError, match="names no metric"):
        curve(run, 0, ",")
    with pytest.raises(UsageError, match="unknown format `xml`"):
        require_form("xml", is_json=False)
    with pytest.raises(UsageError, match="exclude each other"):
        require_form("csv", is_json=True)


def test_a_trial_without_an_epoch_is_refused_with_the_command_that_shows_why(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        STUDY.replace("own_curve:train", "own_nothing:train").replace("[2, 1, 3]", "[1, 2]")
    )
    (tmp_path / "own_nothing.py").write_text("def train(params, trial):\n    raise ValueError('at once')\n")
    run_whole(tmp_path / "own.yaml", tmp_path / "run")
    folder = RunFolder.open_existing(tmp_path / "run")
    with pytest.raises(UsageError, match="trial 0 is failed and has no epoch on record") as caught:
        curve(folder, 0)
    assert "results" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="no trial of this study has an epoch"):
        curve(folder)
