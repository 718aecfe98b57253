"""The baseline of a study: it is fitted once, kept in the run folder, and is about the data that it was fitted to."""

import json
import os

import numpy as np
import pytest

from tests.support.recorded import recorded_study
from tunecli.commands.report import report
from tunecli.commands.results import results, results_view
from tunecli.study.baseline import LIMIT_S, baseline_at_end, limit_at_end_s, recorded_baseline
from tunecli.study.record.lifecycle import open_to_read

TABLE = """\
study: written
objective: {metric: val_accuracy, direction: maximize}
trial:
  data: {source: table.csv, target: y}
  training: {epochs: 1}
  optimizer: {name: adam, lr: {loguniform: [1e-4, 1]}}
search: {sampler: random, trials: 60}
"""


def write_table(folder, shift=0.0):
    generator = np.random.default_rng(0)
    rows = (f"{a:.6f},{b:.6f},{'yes' if a > shift else 'no'}" for a, b in generator.normal(size=(120, 2)))
    (folder / "table.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize(
    ("elapsed_s", "limit_s"), [(20, 10), (100, 10), (300, 30), (600, 60), (86_400, LIMIT_S)]
)
def test_the_end_of_a_sweep_waits_for_a_tenth_of_its_time_and_at_least_10_s(elapsed_s, limit_s):
    assert limit_at_end_s(elapsed_s) == limit_s


def recorded(folder):
    with open_to_read(folder) as study:
        return recorded_baseline(study, study.log.trials())


def test_first_report_fits_the_baseline_and_later_readers_find_it_in_the_run_folder(tmp_path):
    write_table(tmp_path)
    folder = recorded_study(tmp_path, [0.5, 0.75], TABLE)
    assert report(folder).baseline is None
    found = report(folder, fits_baseline=True)
    assert [one.model for one in found.baseline.scores] == ["logistic regression", "gradient boosting"]
    assert all(one.score > 0.75 for one in found.baseline.scores)
    assert "not-better-than-baseline" in [finding.rule for finding in found.findings]
    written = folder.baseline_path.read_text()
    assert report(folder, fits_baseline=True).baseline == found.baseline == recorded(folder)
    assert folder.baseline_path.read_text() == written
    with open_to_read(folder) as study:
        assert baseline_at_end(study) == found.baseline
    view = results_view(results(folder))
    assert view.data["baseline"]["scores"] == json.loads(written)["scores"]
    assert "(gradient boosting)" in dict(view.lines)["baseline"]


def test_baseline_of_other_data_or_a_damaged_file_or_a_pipe_does_not_count(tmp_path):
    write_table(tmp_path)
    folder = recorded_study(tmp_path, [0.5], TABLE)
    for content in ("", "[]", "{", '{"key": "other", "metric": "val_accuracy", "scores": [], "note": null}'):
        folder.baseline_path.write_text(content)
        assert recorded(folder) is None
    folder.baseline_path.unlink()
    os.mkfifo(folder.baseline_path)
    assert recorded(folder) is None
    folder.baseline_path.unlink()
    write_table(tmp_path, shift=0.5)
    assert "table.csv has changed" in report(folder, fits_baseline=True).baseline.note


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("search:", "run: {baseline: off}\nsearch:"),
        ("source: table.csv, target: y", "source: digits"),
        ("source: table.csv, target: y", "source: {python: 'own:make'}"),
    ],
)
def test_study_without_a_table_or_with_the_baseline_off_has_none(tmp_path, old, new):
    write_table(tmp_path)
    folder = recorded_study(tmp_path, [0.5], TABLE.replace(old, new))
    assert report(folder, fits_baseline=True).baseline is None
    assert not folder.baseline_path.exists()


@pytest.mark.slow
def test_data_that_cannot_be_fitted_are_named_in_the_line_of_the_baseline(tmp_path):
    np.savez(tmp_path / "images.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.arange(20) % 2)
    text = TABLE.replace("source: table.csv, target: y", "source: images.npz")
    folder = recorded_study(tmp_path, [0.5], text)
    report(folder, fits_baseline=True)
    line = dict(results_view(results(folder)).lines)["baseline"]
    assert line.startswith("none: a baseline needs a table of features, texts or a time series")
