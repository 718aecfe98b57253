"""The view of one trial, and the columns, rows and order of the table, for a study with failed trials."""

import json

import pytest

from tests.study.sweeps import Silent
from tunecli.commands.check import load_checked
from tunecli.commands.one_trial import one_trial, one_trial_view
from tunecli.commands.results import ResultsOptions, results, results_view, selection_of
from tunecli.commands.search import ending_view
from tunecli.errors import UsageError
from tunecli.store.folder import RunFolder
from tunecli.study.record.lifecycle import begin
from tunecli.study.sweep import sweep

OWN = """\
def train(params, trial):
    if trial.number % 3 == 1:
        raise ValueError("bad shape")
    return {"loss": params["x"], "accuracy": 1 - params["x"]}
"""
STUDY = """\
study: flaky
objective: {metric: loss, direction: minimize}
trial: {python: "flaky_own:train", params: {x: {uniform: [0, 1]}, y: {choice: [1, "1", null]}, z: {int: [1, 9]}}}
search: {sampler: random, trials: 7}
run: {device: cpu, engine: inline}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    path = tmp_path_factory.mktemp("flaky")
    (path / "flaky_own.py").write_text(OWN)
    (path / "flaky.yaml").write_text(STUDY)
    with begin(load_checked(path / "flaky.yaml", ()), path / "run") as study:
        return RunFolder(path / "run"), sweep(study, Silent())


def test_a_failed_trial_is_shown_with_file_line_and_traceback(swept):
    answer = one_trial_view(one_trial(swept[0], 4))
    lines = dict(answer.lines)
    assert lines["failure"] == "ValueError: bad shape (flaky_own.py:3)"
    assert lines["failed at"].endswith("flaky_own.py, line 3")
    assert answer.text.startswith("Traceback") and "bad shape" in answer.text
    failure = answer.data["failure"]
    assert (failure["kind"], failure["line"], answer.data["score"], answer.data["rank"]) == (
        "error",
        3,
        None,
        None,
    )
    json.dumps(answer.data, allow_nan=False)


def test_a_complete_trial_is_shown_with_all_metrics_and_parameters(swept):
    number = swept[1].table.rows[0][1]
    answer = one_trial_view(one_trial(swept[0], number))
    assert dict(answer.lines)["rank"] == "1 of 5"
    assert set(answer.data["metrics"]) == {"loss", "accuracy"}
    assert [label for label, _ in answer.blocks[0].pairs] == ["params.x", "params.y", "params.z"]
    assert answer.data["failure"] is None and answer.data["attempts"] == 1


def test_folders_with_files_of_own_code_are_named_and_empty_ones_are_not(swept):
    folder, number = swept[0], swept[1].table.rows[0][1]
    assert one_trial_view(one_trial(folder, number)).data["files"] == []
    assert "files" not in dict(ending_view(swept[1]).lines)
    kept = folder.checkpoint_dir(number) / "model.pt"
    kept.parent.mkdir(parents=True)
    folder.trial_dir(number).mkdir(parents=True)
    kept.write_text("weights")
    answer = one_trial_view(one_trial(folder, number))
    assert dict(answer.lines)["files"] == str(kept.parent)
    assert answer.data["files"] == [str(kept.parent)]
    assert dict(ending_view(swept[1]).lines)["files"] == f"{kept.parent} (trial {number})"


def test_a_missing_trial_is_an_error(swept):
    with pytest.raises(UsageError, match="there is no trial 99"):
        one_trial(swept[0], 99)


def test_failed_shows_only_failed_trials_with_their_causes(swept):
    found = results(swept[0], selection=selection_of(ResultsOptions(is_failed_only=True)))
    [section] = results_view(found).sections
    assert section.rows == tuple((n, "ValueError: bad shape (flaky_own.py:3)") for n in ("1", "4"))
    assert [trial["trial"] for trial in results_view(found).data["trials"]] == [1, 4]


def test_columns_order_and_number_of_rows_are_selected(swept):
    table = results(
        swept[0], selection=selection_of(ResultsOptions(columns="trial,x,accuracy", sort_by="-x", n_shown=3))
    ).table
    assert table.columns == ("trial", "params.x", "accuracy")
    values = [row[1] for row in table.rows]
    assert len(values) == 3 and values == sorted(values, reverse=True)
    full = results(swept[0], selection=selection_of(ResultsOptions(sort_by="trial"))).table
    assert [row[1] for row in full.rows] == list(range(7))
    assert full.columns == results(swept[0]).table.columns
    with pytest.raises(UsageError, match="--columns"):
        results(swept[0], selection=selection_of(ResultsOptions(columns="nothing")))


def test_the_end_of_a_sweep_shows_the_best_trial_and_grouped_failures(swept):
    ending = swept[1]
    answer = ending_view(ending)
    best = ending.table.rows[0]
    [block] = answer.blocks
    assert block.heading == f"best  trial {best[1]}  loss {best[3]:.6g}"
    assert answer.asides == ("2 trials failed: ValueError: bad shape (flaky_own.py:3): trials 1, 4",)
    assert dict(answer.lines)["finished"] == "all 7 trials"
    assert answer.data["best_trial"] == best[1]
    [section] = answer.sections
    shown = [section.fit.headings[place] for place in (*section.fit.first, *section.fit.then)]
    assert shown[:4] == ["rank", "trial", "status", "loss"]
    assert {"x", "z"} < set(shown)
    assert not {"seed", "device", "failure"} & set(shown)
    assert "failure" in section.columns, "a pipe gets it"
