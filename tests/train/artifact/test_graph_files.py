"""Other programs compute what the model computes: every kind of model and of input, in each format."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.train.artifact.test_model import TABLE, trained, write_table
from tunecli.errors import UsageError
from tunecli.train.artifact.graph import Graph
from tunecli.train.artifact.graph_files import TOLERANCE, graph_file
from tunecli.train.data.sources import read_source

SMALL = {"validation": {"fraction": 0.3}}
DIGITS = {"source": "digits", "train_fraction": 0.05}
WORDS = {"source": "words.csv", "target": "y", "text": "text", "tokens": "words", **SMALL}
SERIES = {
    "source": "series.csv",
    "target": "y",
    "series": {"window": 4, "horizon": 1},
    "columns": {"time": "day"},
    "validation": {"fraction": 0.3, "by": "time"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    write_table(folder)
    rng = np.random.default_rng(1)
    with (folder / "words.csv").open("w", newline="") as file:
        words = ["good", "bad", "fine", "poor", "very", "not"]
        rows = [(" ".join(rng.choice(words, 5)), n % 7, ["no", "yes"][n % 2]) for n in range(60)]
        csv.writer(file).writerows([("text", "age", "y"), *rows])
    with (folder / "series.csv").open("w", newline="") as file:
        rows = [
            (f"2024-01-{n % 28 + 1:02d}" if n < 28 else f"2024-02-{n - 27:02d}", n % 5, np.sin(n))
            for n in range(50)
        ]
        csv.writer(file).writerows([("day", "x", "y"), *rows])
    return folder


def model_of(folder: Path, data: dict[str, Any], model: dict[str, Any], **config: Any) -> Any:
    metric = config.pop("metric", "val_loss")
    return trained(folder, {"data": data, "model": model, **config}, metric)[0]


@pytest.mark.slow
def test_an_exported_program_runs_without_tunecli(folder: Path) -> None:
    model = model_of(
        folder, {**TABLE, "missing_indicators": True, "normalize": "power"}, {"name": "mlp", "hidden": [8]}
    )
    table = read_source(model.config.data, folder)
    made = graph_file(model, "pt2", table, np.arange(len(table.y)))
    assert made.difference <= TOLERANCE
    assert made.n_checked == 90
    assert made.outside == (
        "turn each category into its code: `categories` in the file's facts lists them, from code 1",
    )
    extra = {"tunecli": ""}
    program = torch.export.load(io.BytesIO(made.content), extra_files=extra).module()
    facts = json.loads(extra["tunecli"])
    assert facts["classes"] == ["no", "perhaps", "yes"]
    assert facts["columns"] == ["a", "b"]
    assert facts["categories"] == {"city": ["Bern", "Oslo", "Rome"]}
    numbers = torch.tensor([[0.5, float("nan")], [2.0, -1.0]], dtype=torch.float64)
    found = program(numbers, torch.tensor([[3], [0]]))
    expected = model.predict_proba({"a": [0.5, 2.0], "b": [None, -1.0], "city": ["Rome", "Atlantis"]})
    assert found.detach().numpy() == pytest.approx(expected, abs=TOLERANCE)
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert archive.testzip() is None


@pytest.mark.slow  # the first export of a process takes seconds
def test_a_wrong_graph_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(folder, TABLE, {"name": "linear"})
    monkeypatch.setattr(Graph, "forward", lambda self, *inputs: self.networks[0](*inputs) + 1e-3)
    with pytest.raises(UsageError, match="differs from the model by 0\\.001"):
        graph_file(model, "pt2", read_source(model.config.data, folder), np.arange(90))


def test_folds_with_vocabularies_of_their_own_are_no_graph(folder: Path) -> None:
    model = model_of(folder, {**WORDS, "validation": {"folds": 2}}, {"name": "mlp", "hidden": [4]})
    with pytest.raises(UsageError, match="each with their own words"):
        graph_file(model, "pt2", None, np.arange(0))


CASES = {
    "linear": (TABLE, {"name": "linear"}, {}),
    "mlp, batch norm, folds": ({**TABLE, "validation": {"folds": 2}}, {"name": "mlp", "norm": "batch"}, {}),
    "quantiles": ({**TABLE, "normalize": "quantile"}, {"name": "mlp"}, {}),
    "embeddings": ({**TABLE, "categories": "embedding"}, {"name": "mlp"}, {}),
    "tabular_resnet": ({**TABLE, "categories": "embedding"}, {"name": "tabular_resnet", "width": 8}, {}),
    "ft_transformer": (
        {**TABLE, "categories": "embedding"},
        {"name": "ft_transformer", "width": 8, "heads": 2},
        {},
    ),
    "transformer with a token of its own": (
        TABLE,
        {"name": "transformer", "width": 8, "heads": 2, "pool": "cls"},
        {},
    ),
    "transformer of features": (TABLE, {"name": "transformer", "width": 8, "heads": 2}, {}),
    "bf16": (TABLE, {"name": "mlp"}, {"training": {"precision": "bf16"}}),
    "regression": ({"source": "diabetes"}, {"name": "mlp"}, {}),
    "counts": ({"source": "diabetes"}, {"name": "mlp"}, {"loss": "poisson"}),
    "cnn": (DIGITS, {"name": "cnn", "channels": [4], "norm": "batch"}, {}),
    "resnet": (DIGITS, {"name": "resnet", "channels": [4, 8]}, {}),
    "images of quantile": ({**DIGITS, "normalize": "power"}, {"name": "mlp"}, {}),
    "vision transformer": (DIGITS, {"name": "transformer", "width": 8, "heads": 2}, {}),
    "lstm of images": (DIGITS, {"name": "lstm", "width": 8}, {}),
    "words": (WORDS, {"name": "gru", "width": 8, "pool": "mean"}, {}),
    "bag of words": (WORDS, {"name": "mlp"}, {}),
    "transformer of words": (WORDS, {"name": "transformer", "width": 8, "heads": 2}, {}),
    "tcn of words": (WORDS, {"name": "tcn"}, {}),
    "text and columns": ({**WORDS, "columns": {"keep": ["age"]}}, {"name": "mlp"}, {}),
    "series": (SERIES, {"name": "lstm", "width": 8}, {}),
    "series, tcn": (SERIES, {"name": "tcn"}, {}),
    "series, transformer": (SERIES, {"name": "transformer", "width": 8, "heads": 2}, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "pt2"])
@pytest.mark.parametrize("case", CASES)
def test_every_model_equals_its_file(folder: Path, case: str, form: Any) -> None:
    pytest.importorskip("onnxruntime")
    data, network, config = CASES[case]
    model = model_of(folder, data, network, **config)
    table = read_source(model.config.data, folder)
    made = graph_file(model, form, table, np.arange(len(table.y)))
    assert made.difference <= TOLERANCE
    assert made.n_checked == len(table.y)
    assert graph_file(model, form, None, np.arange(0)).difference <= TOLERANCE
