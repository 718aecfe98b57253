"""A study whose file names metrics: search, resume with others, verify, export, the table."""

from __future__ import annotations

import csv
import json
import re
from functools import partial
from pathlib import Path

import pytest

from tests.study.conftest import STUDY
from tests.verbs import called
from tunecli.cli import main
from tunecli.commands.results import results
from tunecli.commands.verify import verify
from tunecli.config.load import load
from tunecli.results.comparison import Verdict
from tunecli.store.folder import RunFolder

NAMED = STUDY.replace(
    "{metric: val_accuracy}",
    "{metric: {name: val_kappa, weights: quadratic}, subject_to: {val_log_loss: '<= 1.5'}, also: [val_mcc]}",
).replace("engine: inline", "engine: inline, results: {metrics: [val_f1_weighted]}")


def ran(*arguments: object) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert not caught.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run folder of a study that is resumed with other further metrics."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "named.yaml").write_text(NAMED)
    ran("search", folder / "named.yaml", "--out", folder / "run", "--set", "search.trials=2")
    ran("resume", folder / "run", "--trials", "4", "--set", "objective.also=[val_brier]")
    return RunFolder(folder / "run")


def test_each_trial_has_the_metrics_that_the_file_named_then(run: RunFolder) -> None:
    found = {
        row[1]: {*metrics} for row, metrics in zip(results(run).table.rows, results(run).metrics, strict=True)
    }
    always = {"val_kappa_quadratic", "val_log_loss", "val_f1_weighted", "val_accuracy"}
    assert all(always <= metrics for metrics in found.values())
    assert {n for n, metrics in found.items() if "val_mcc" in metrics} == {0, 1}
    assert {n for n, metrics in found.items() if "val_brier" in metrics} == {2, 3}


def test_the_table_has_the_columns_of_named_metrics(run: RunFolder) -> None:
    with (run.path / "results.csv").open() as file:
        first = next(csv.DictReader(file))
    assert 0 < float(first["val_kappa_quadratic"]) <= 1
    assert float(first["val_log_loss"]) <= 1.5
    assert 0 < float(first["val_f1_weighted"]) <= 1


def test_verify_repeats_the_metrics_that_a_trial_recorded(run: RunFolder) -> None:
    assert {one.comparison.verdict for one in verify(run, is_all=True).trials} == {Verdict.IDENTICAL}


def test_the_exported_file_names_the_same_metrics(
    run: RunFolder, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tunecli = partial(called, capture=capfd, monkeypatch=monkeypatch)
    assert tunecli("export", run.path, "-o", tmp_path / "best.yaml")[0] == 0
    objective = load(tmp_path / "best.yaml").objective
    assert (objective.metric, objective.also) == ("val_kappa_quadratic", ("val_brier",))
    code, out, _ = tunecli("train", tmp_path / "best.yaml", "--json")
    assert code == 0
    metrics = json.loads(out)["metrics"]
    table = results(run).table
    assert metrics["val_kappa_quadratic"] == table.rows[0][table.columns.index("val_kappa_quadratic")]
    assert "val_brier" in metrics


def test_check_refuses_a_misspelt_column_and_lists_further_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.yaml").write_text(NAMED.replace("[val_f1_weighted]", "[val_f1_wieghted, lr, test_mcc]"))
    with pytest.raises(SystemExit) as caught:
        main(["check", str(tmp_path / "s.yaml")])
    assert caught.value.code == 2
    problems = capsys.readouterr().err
    assert (
        "run.results.metrics.0: unknown metric `val_f1_wieghted`; did you mean `val_f1_weighted`?" in problems
    )
    assert "run.results.metrics.1" not in problems
    (tmp_path / "s.yaml").write_text(NAMED)
    ran("check", tmp_path / "s.yaml")
    assert re.search(r"also recorded +val_mcc\n", capsys.readouterr().out)
