"""The five jobs of the guide: check, search, confirm, and predictions for rows that the study never read."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.support.examples import CONFIGS, maker, with_images
from tests.support.torchvision_models import NarrowResNet, narrow_torchvision
from tests.verbs import called as called_here

__all__ = ["narrow_torchvision"]

pytestmark = pytest.mark.timeout(1200)  # each job takes about a minute of a processor that does nothing else


def called(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunecli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Job:
    """What the verbs say of one job."""

    checked: str
    best: dict[str, Any]
    quote: dict[str, Any]
    baseline: dict[str, Any] | None
    report: str
    predicted: dict[str, Any]

    def scores(self, name: str) -> str:
        """A line for the table of the guide."""
        score, further = self.quote["score"], self.quote["one_more"]
        baseline = {one["model"]: round(one["score"], 3) for one in (self.baseline or {}).get("scores", [])}
        new = {key: round(value, 3) for key, value in self.predicted["metrics"].items()}
        return (
            f"{name}: confirmed {score['mean']:.4g} ({score['low']:.4g} to {score['high']:.4g}), one more "
            f"{further['low']:.4g} to {further['high']:.4g}, validation {self.quote['validation']}, new {new}, {baseline}"
        )


def walked(name: str, folder: Path, new: Path, config: Path | None = None) -> Job:
    """Run every verb of a job; its new rows are predicted by the confirmed trial."""
    run, config = folder / name, config or CONFIGS / f"{name}.yaml"
    checked = called("check", config)
    search = json.loads(called("search", config, "--out", run, "--json").stdout)
    confirmed = json.loads(called("confirm", run, "--top", 2, "--repeats", 3, "--json").stdout)
    report = json.loads(called("report", run, "--json").stdout)
    trial = confirmed["quote"]["trial"]
    predicted = json.loads(called("predict", run, new, "--trial", trial, "--json").stdout)
    job = Job(
        checked.stdout + checked.stderr,
        search["trials"][0],
        confirmed["quote"],
        report["baseline"],
        called("report", run).stdout,
        predicted,
    )
    print(job.scores(name))
    return job


def assert_as_confirmed(job: Job, new_score: float, n_new: int) -> None:
    """The share of right new rows is within the confirmed range, widened by the luck of the new rows (95 %)."""
    low, high = job.quote["validation"]["low"], job.quote["validation"]["high"]
    luck = 1.96 * (new_score * (1 - new_score) / n_new) ** 0.5
    assert low - luck <= new_score <= high + luck


def test_the_script_makes_the_tables_of_the_jobs(tmp_path):
    script = maker()
    script.main(tmp_path, [one for one in script.MAKERS if one is not script.signs])
    made = sorted(tmp_path.iterdir())
    assert len(made) == 8
    for path in made:
        assert path.read_text(encoding="utf-8") == (CONFIGS / "data" / path.name).read_text(
            encoding="utf-8"
        ), path


@pytest.mark.slow
def test_a_messy_table_is_read_confirmed_and_predicted(tmp_path):
    new = CONFIGS / "data/passengers_new.csv"
    job = walked("passengers", tmp_path, new)
    for said in (
        "'fare' is read as numbers",
        "'booked' holds dates",
        "columns 'lifeboat'",
        "id 'ticket'",
        "`unknown`",
    ):
        assert said in job.checked
    score = job.predicted["metrics"]["test_accuracy"]
    assert_as_confirmed(job, score, 400)
    rescued = [row["rescued"] for row in rows_of(new)]
    assert score > rescued.count("no") / len(rescued) + 0.1
    assert job.predicted["ids"][0] == "T00901"
    assert len(job.baseline["scores"]) == 2
    assert job.best["val_accuracy"] > min(one["score"] for one in job.baseline["scores"])


@pytest.mark.slow
def test_a_folder_of_images_is_learned_and_a_new_one_predicted(tmp_path):
    config = with_images("signs", tmp_path)
    job = walked("signs", tmp_path / "runs", tmp_path / "data/signs_new", config)
    score = job.predicted["metrics"]["test_accuracy"]
    assert_as_confirmed(job, score, 200)
    assert score > 0.25 + 0.3
    assert job.predicted["ids"][0] == "circle/000.png"


@pytest.mark.slow
@pytest.mark.usefixtures("narrow_torchvision")
def test_the_same_images_are_read_by_a_network_of_torchvision(tmp_path, capsys, monkeypatch):
    config, run = with_images("signs_backbone", tmp_path), tmp_path / "run"
    safetensors.torch.save_file(NarrowResNet().state_dict(), tmp_path / "resnet18.safetensors")
    weights = "trial.model.weights=resnet18.safetensors"
    settings = ("--set", weights, "--set", "run.engine=inline", "--trials", 2, "--out", run)
    code, _, said = called_here("search", config, *settings, capture=capsys, monkeypatch=monkeypatch)
    assert code == 0, said
    new = tmp_path / "data/signs_new"
    code, out, said = called_here("predict", run, new, capture=capsys, monkeypatch=monkeypatch)
    assert code == 0, said
    assert len(out.splitlines()) == 201


@pytest.mark.slow
def test_reviews_are_read_with_the_columns_beside_them(tmp_path):
    new = CONFIGS / "data/reviews_new.csv"
    job = walked("reviews", tmp_path, new)
    assert "the words of 'review'" in job.checked
    score = job.predicted["metrics"]["test_accuracy"]
    assert_as_confirmed(job, score, 300)
    train, test = rows_of(CONFIGS / "data/reviews.csv"), rows_of(new)
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    words.fit([row["review"] for row in train], [row["recommends"] for row in train])
    by_words = words.score([row["review"] for row in test], [row["recommends"] for row in test])
    majority = max(np.mean([row["recommends"] == name for row in test]) for name in ("no", "yes"))
    print(f"reviews: logistic regression on words {by_words:.3f}, majority {majority:.3f}")
    assert score > majority + 0.15


@pytest.mark.slow
def test_sales_are_forecast_better_than_by_those_of_last_week(tmp_path):
    new = CONFIGS / "data/sales_new.csv"
    job = walked("sales", tmp_path, new)
    rows = rows_of(new)
    sold = {(row["shop"], np.datetime64(row["day"])): float(row["sold"]) for row in rows}
    errors, errors_of_week, errors_of_mean = [], [], []
    mean_of = {
        shop: np.mean(
            [float(row["sold"]) for row in rows_of(CONFIGS / "data/sales.csv") if row["shop"] == shop]
        )
        for shop in ("harbour", "station")
    }
    ids, predictions = job.predicted["ids"], job.predicted["predictions"]["sold"]
    for name, prediction in zip(ids, predictions, strict=True):
        shop, day = name.split()
        there = (shop, np.datetime64(day) + 3)  # the row is the window's last: its target is three days later
        week_before = (shop, there[1] - 7)
        if there in sold and week_before in sold:
            errors.append(abs(prediction - sold[there]))
            errors_of_week.append(abs(sold[week_before] - sold[there]))
            errors_of_mean.append(abs(mean_of[shop] - sold[there]))
    mae, of_week, of_mean = np.mean(errors), np.mean(errors_of_week), np.mean(errors_of_mean)
    print(f"sales: new {mae:.2f} of {len(errors)}, last week's {of_week:.2f}, the shop's mean {of_mean:.2f}")
    assert len(errors) > 200
    assert mae < 0.9 * of_week
    assert mae < 0.6 * of_mean
    assert mae < 1.15 * job.quote["one_more"]["high"]


@pytest.mark.slow
def test_the_faults_of_pumps_are_predicted_label_by_label(tmp_path):
    new = CONFIGS / "data/pumps_new.csv"
    job = walked("pumps", tmp_path, new)
    score = job.predicted["metrics"]["test_f1"]
    assert job.quote["one_more"]["low"] - 0.06 <= score <= job.quote["one_more"]["high"] + 0.06
    table = job.report.split("Classes of the best trial")[1]
    assert "threshold" in table
    assert [line.split()[0] for line in table.splitlines()[3:7]] == ["bearing", "belt", "seal", "sensor"]
    linear = f1_of_logistic_regression(rows_of(CONFIGS / "data/pumps.csv"), rows_of(new))
    print(f"pumps: logistic regression for each label {linear:.3f}")
    assert score > linear + 0.05


def f1_of_logistic_regression(train: list[dict[str, str]], test: list[dict[str, str]]) -> float:
    """The macro F1 of one logistic regression for each label, at the threshold one half."""
    numbers = ("hours", "temperature_c", "vibration_mm_s", "pressure_bar", "current_a")
    x_of = {
        name: np.array(
            [[row["model"], *(float(row[column]) for column in numbers)] for row in rows], dtype=object
        )
        for name, rows in (("train", train), ("test", test))
    }
    scores = []
    for fault in ("bearing", "belt", "seal", "sensor"):
        y_train, y_test = ([fault in row["faults"].split("|") for row in rows] for rows in (train, test))
        columns = make_column_transformer((OneHotEncoder(), [0]), (StandardScaler(), [1, 2, 3, 4, 5]))
        model = make_pipeline(columns, LogisticRegression()).fit(x_of["train"], y_train)
        scores.append(f1_score(y_test, model.predict(x_of["test"])))
    return float(np.mean(scores))
