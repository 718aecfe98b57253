"""`compare` shows studies side by side, and ranks them only if their goals agree."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.recorded import STUDY, recorded_study
from tests.verbs import called
from tunecli.commands.compare import _ranges, compare, compare_view
from tunecli.config.load import parse_study
from tunecli.errors import UsageError


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(*words, capture=capsys, monkeypatch=monkeypatch)


@pytest.fixture
def two(tmp_path):
    """Two studies of one goal with different ranges."""
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    text = (
        STUDY.replace("study: written", "study: wider")
        .replace("[1e-4, 1]", "[1e-6, 1]")
        .replace("[a, b]", "[a]")
    )
    return (
        recorded_study(tmp_path / "one", [0.5, 0.25, "ValueError: no"]),
        recorded_study(tmp_path / "other", [0.125, 0.75], text, n_epochs=4),
    )


def test_studies_of_one_goal_are_ranked_with_their_budgets(two):
    found = compare(two)
    assert [one.rank for one in found.studies] == [2, 1]
    assert [one.best for one in found.studies] == [(1, 0.25), (0, 0.125)]
    assert [one.epochs for one in found.studies] == [6, 8]
    assert [one.seconds for one in found.studies] == [4.0, 3.0]
    assert found.ranked_by == "best"
    assert "tunecli confirm" in found.notes[0]


def test_only_the_parts_that_differ_are_listed(two):
    found = compare(two)
    assert found.differences == {
        "params.rate": ("loguniform 0.0001 … 1", "loguniform 1e-06 … 1"),
        "params.kind": ("choice a, b", "choice a"),
    }


def test_different_goals_are_said_and_not_ranked(tmp_path, two):
    (tmp_path / "third").mkdir()
    text = STUDY.replace("{metric: loss, direction: minimize}", "{metric: accuracy, direction: maximize}")
    found = compare([two[0], recorded_study(tmp_path / "third", [0.9], text)])
    assert [one.rank for one in found.studies] == [None, None]
    assert found.ranked_by == ""
    assert found.notes[0] == (
        "the studies are not ranked, since their goals differ: accuracy (maximize), loss (minimize)"
    )
    [studies] = compare_view(found).chapters
    assert [row[2] for row in studies.section.rows] == ["loss 0.25 (trial 1)", "accuracy 0.9 (trial 0)"]


def test_a_study_without_scores_is_last_and_has_no_rank(tmp_path, two):
    (tmp_path / "empty").mkdir()
    found = compare([recorded_study(tmp_path / "empty", []), *two])
    assert [one.rank for one in found.studies] == [None, 2, 1]


def test_the_verb_prints_text_csv_and_json(two, run):
    code, out, err = run("compare", "one/run", "other/run")
    assert code == 0
    assert out.startswith("loss, lower is better\nrank  study")
    assert "Where the files differ\nparameter    written                wider" in out
    assert err.startswith("note: the studies are ranked by their best scores")
    _, out, _ = run("compare", "one/run", "other/run", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["best"] for row in rows] == ["0.25", "0.125"]
    assert [row["failed"] for row in rows] == ["1", "0"]
    code, out, _ = run("compare", "one/run", "other/run", "--json")
    document = json.loads(out)
    assert (document["kind"], document["schema_version"], document["ranked_by"]) == ("compare", 1, "best")
    assert document["studies"][1]["rank"] == 1
    assert document["studies"][0]["direction"] == "minimize"
    assert set(document["differences"]) == {"params.rate", "params.kind"}


@pytest.mark.parametrize(
    "words",
    [("one/run",), ("one/run", "one/run"), ("one/run", "nowhere"), ("one/run", "other/run", "--format", "xml"),
     ("one/run", "other/run", "--format", "csv", "--json")],
    ids=" ".join,
)  # fmt: skip
def test_a_comparison_that_cannot_be_made_is_refused(two, run, words):
    code, out, err = run("compare", *words)
    assert (code, out) == (2, "")
    assert "error" in err


def test_a_comparison_needs_two_studies(two):
    with pytest.raises(UsageError, match="needs two studies"):
        compare(two[:1])


def test_a_value_of_one_option_is_no_fixed_value_of_the_study():
    text = """\
study: branches
objective: {metric: val_accuracy}
trial:
  data: {source: iris}
  model: {name: mlp, hidden: [8]}
  loss: cross_entropy
  optimizer: {choice: [{name: sgd, lr: 0.1}, {name: adamw, lr: {loguniform: [1e-4, 1e-1]}}]}
  training: {epochs: 2}
search: {sampler: random, trials: 4}
"""
    ranges = _ranges(parse_study(text.encode(), "branches.yaml", (), Path()).space)
    assert ranges["optimizer"] == "choice sgd, adamw"
    assert ranges["loss"] == "cross_entropy" and "optimizer.name" not in ranges
