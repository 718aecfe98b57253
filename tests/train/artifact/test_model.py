"""A loaded model computes what its trial recorded: equal rows give equal bits."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.jobs import make_job
from tunecli.errors import DataError
from tunecli.messages import Ended, Job
from tunecli.objective import Objective
from tunecli.train.artifact.layout import entry_of_file
from tunecli.train.artifact.loading import load_model
from tunecli.train.artifact.model import FoldModel, TrainedModel
from tunecli.train.data import splits
from tunecli.train.data.sources import read_source
from tunecli.train.loop import run

SEED = 7


def trained(folder: Path, config: Mapping[str, Any], metric: str, **knobs: Any) -> tuple[TrainedModel, float]:
    """A trial that is trained and loaded from its file; and its recorded score."""
    training = {"epochs": 2, "batch_size": 16, **config.get("training", {})}
    objective = Objective(metric, metric in ("val_accuracy", "val_r2"), also=("val_log_loss",))
    job: Job = make_job(
        3,
        {"model": {"name": "mlp", "hidden": [8]}, **config, "training": training},
        objective,
        study_seed=SEED,
        seed=11,
        **{"device": "cpu", "base_path": str(folder), "weights_path": str(folder / "m.safetensors"), **knobs},
    )
    *_, end = run(job)
    assert isinstance(end, Ended)
    assert end.outcome.score is not None, end.outcome.failure
    return load_model(folder / "m.safetensors"), end.outcome.score


def score_on_validation(model: TrainedModel, folder: Path, metric: str) -> float:
    """The metric of each network on its own validation rows; their mean."""
    data = model.config.data
    table = read_source(data, folder)
    parts = splits.split(table, data, SEED)
    return statistics.fmean(
        _score(model, one, parts[number % len(parts)].valid_indices, folder, metric)
        for number, one in enumerate(model.models)
    )


def _score(model: TrainedModel, one: FoldModel, rows: np.ndarray, folder: Path, metric: str) -> float:
    table = read_source(model.config.data, folder)
    alone = TrainedModel(model.config, replace(model.facts, n_folds=1, n_repeats=1), [one])
    x, y = one.prepare(table), one.targets(table)
    with alone._threads():
        return one.evaluator.score(one.outputs(x[rows]), y[rows], "val")[metric]


TABLE = {"source": "t.csv", "target": "y", "validation": {"fraction": 0.3}}


def write_table(folder: Path, is_number: bool = False) -> None:
    rng = np.random.default_rng(0)
    with (folder / "t.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "city", "b", "y"])
        for n in range(90):
            a, city = rng.normal(), ["Rome", "Oslo", "Bern"][n % 3]
            b = "" if n % 11 == 0 else round(rng.normal(), 3)
            y = a * 3 + n % 3 + 100 if is_number else ["no", "yes", "perhaps"][(n + (a > 0)) % 3]
            rows.writerow([a, city, b, y])


@pytest.mark.parametrize(
    ("config", "metric", "knobs"),
    [
        ({"data": TABLE}, "val_loss", {}),
        ({"data": {**TABLE, "validation": {"folds": 3}}}, "val_loss", {}),
        ({"data": TABLE, "training": {"average": {"name": "ema", "decay": 0.9}}}, "val_loss", {}),
        ({"data": TABLE, "training": {"precision": "bf16"}}, "val_loss", {"threads": 2}),
        ({"data": TABLE}, "val_loss", {"repeats": 2, "micro_batches": 4}),
        ({"data": {"source": "digits"}, "model": {"name": "cnn", "channels": [4]}}, "val_loss", {}),
    ],
    ids=["classes", "folds", "average", "bf16", "repeats", "images"],
)
def test_a_classifier_reproduces_its_recorded_score(
    tmp_path: Path, config: dict[str, Any], metric: str, knobs: dict[str, Any]
) -> None:
    write_table(tmp_path)
    model, score = trained(tmp_path, config, metric, **knobs)
    assert model.facts.score == score
    assert score_on_validation(model, tmp_path, metric) == score


def test_a_regression_reproduces_its_recorded_score_in_units(tmp_path: Path) -> None:
    write_table(tmp_path, is_number=True)
    model, score = trained(tmp_path, {"data": TABLE, "loss": "huber"}, "val_rmse")
    assert score_on_validation(model, tmp_path, "val_rmse") == score
    assert 90 < model.predict(tmp_path / "t.csv").mean() < 115


@pytest.mark.parametrize(("is_number", "metric"), [(True, "val_rmse"), (False, "val_loss")])
def test_several_targets_reproduce_their_recorded_score(tmp_path: Path, is_number: bool, metric: str) -> None:
    rows = [
        f"{n % 7},{n * 0.7 if is_number else n % 2},{n % 5 + 50 if is_number else n % 3 // 2}"
        for n in range(80)
    ]
    (tmp_path / "t.csv").write_text("x,a,b\n" + "\n".join(rows) + "\n")
    model, score = trained(tmp_path, {"data": {**TABLE, "target": ["a", "b"]}}, metric)
    assert score_on_validation(model, tmp_path, metric) == score
    found = model.predict({"x": [1, 2, 3]})
    assert (found.shape, found.dtype.kind) == ((3, 2), "f" if is_number else "b")
    table = model.read(tmp_path / "t.csv")
    outputs = model.outputs(table)
    whole, averaged = model.metrics(table, outputs), model.metrics_of(table, model.values(outputs))
    assert {name: averaged[name] for name in averaged} == pytest.approx(
        {name: whole[name] for name in averaged}, rel=1e-5
    )


def test_texts_reproduce_their_recorded_score(tmp_path: Path) -> None:
    rows = "".join(f"{'good ' * (n % 4)}day {n},{'up' if n % 4 > 1 else 'down'}\n" for n in range(60))
    (tmp_path / "t.csv").write_text("words,y\n" + rows)
    config = {"data": {**TABLE, "text": "words", "max_length": 16}, "model": {"name": "gru", "width": 8}}
    model, score = trained(tmp_path, config, "val_loss")
    assert score_on_validation(model, tmp_path, "val_loss") == score
    assert set(model.predict(["good good day", "day"])) <= {"up", "down"}


@pytest.mark.parametrize("validation", [{"fraction": 0.3}, {"folds": 3}])
def test_the_file_counts_each_class_on_the_validation_data(
    tmp_path: Path, validation: dict[str, Any]
) -> None:
    write_table(tmp_path)
    data = {**TABLE, "validation": validation}
    model, _ = trained(tmp_path, {"data": data, "training": {"early_stop": {"patience": 2}}}, "val_accuracy")
    table = read_source(model.config.data, tmp_path)
    expected = np.zeros((len(model.classes), 3))
    for one, part in zip(model.models, splits.split(table, model.config.data, SEED), strict=True):
        x, y = one.prepare(table), one.targets(table)
        guess, y = one.outputs(x[part.valid_indices]).argmax(1).numpy(), y[part.valid_indices].numpy()
        for k in range(len(model.classes)):
            expected[k] += [((guess == k) & (y == k)).sum(), (y == k).sum(), (guess == k).sum()]
    assert np.array(model.facts.decided).tolist() == expected.tolist()
    assert entry_of_file(tmp_path / "m.safetensors")["facts"]["decided"] == expected.tolist()


def test_rows_of_several_passes_have_the_bits_of_rows_that_are_prepared_at_once(tmp_path: Path) -> None:
    write_table(tmp_path)
    model, _ = trained(tmp_path, {"data": {**TABLE, "validation": {"folds": 2}}}, "val_accuracy")
    rng = np.random.default_rng(1)
    rows = {"a": rng.normal(size=20_000), "b": rng.normal(size=20_000), "city": ["Rome", "Oslo"] * 10_000}
    inputs = model.preprocess(rows)
    assert [len(x) for x in inputs] == [20_000] * 2
    whole = [one.outputs(x).numpy().tobytes() for one, x in zip(model.models, inputs, strict=True)]
    assert [one.numpy().tobytes() for one in model.outputs(model.read(rows))] == whole


def test_a_number_beyond_float32_is_reported_with_its_line(tmp_path: Path) -> None:
    write_table(tmp_path)
    model, _ = trained(tmp_path, {"data": TABLE}, "val_accuracy")
    rows = ["a,city,b", *["0.5,Rome,1"] * 9_000, "1e300,Oslo,2"]
    (tmp_path / "new.csv").write_text("\n".join(rows))
    with pytest.raises(
        DataError, match=r"column `a` has .* too large for float32 .*, in line 9002 of new\.csv"
    ):
        model.predict(tmp_path / "new.csv")
