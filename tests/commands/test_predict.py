"""Predictions come from the run folder or the model file alone, and say how the rows were read."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch

from tests.study.sweeps import run_whole
from tests.verbs import called
from tunecli import load_model
from tunecli.commands.export import export
from tunecli.commands.predict import Request, predict, predict_view
from tunecli.errors import DataError, UsageError
from tunecli.store.folder import RunFolder
from tunecli.train.artifact.layout import bare_weights

STUDY = """
study: shop
objective: {metric: val_accuracy, also: [val_mcc]}
trial:
  data: {source: train.csv, target: bought}
  model: {name: mlp, hidden: [8]}
  optimizer: {name: adamw, lr: {loguniform: [1e-3, 1e-1]}}
  training: {epochs: 2, batch_size: 16}
search: {sampler: random, trials: 3}
run: {device: cpu, workers: 1}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study of customers, whose training data are gone, and new rows."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    rows = [
        (["Rome", "Oslo"][n % 2], n % 60, "" if n % 9 == 0 else rng.normal(), n % 60 > 30) for n in range(120)
    ]
    with (folder / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("city", "age", "income", "bought"), *rows])
    (folder / "study.yaml").write_text(STUDY)
    run_whole(folder / "study.yaml", folder / "run")
    (folder / "test.csv").write_text((folder / "train.csv").read_text())
    (folder / "new.csv").write_text("age,income,note,city\n12,1.5,x,Oslo\n51,,y,Bern\n")
    export(RunFolder(folder / "run"), None, None, folder / "m.safetensors")
    (folder / "train.csv").unlink()
    return folder


def test_the_run_folder_and_the_model_file_predict_the_same(shop: Path) -> None:
    views = [
        predict_view(str(shop / name), shop / "new.csv", None, Request()) for name in ("run", "m.safetensors")
    ]
    assert views[0].raw == views[1].raw
    rows = list(csv.reader(io.StringIO(views[0].raw)))
    assert rows[0] == ["row", "bought"]
    assert [row[0] for row in rows[1:]] == ["1", "2"]
    assert {row[1] for row in rows[1:]} <= {"True", "False"}
    said = " ".join(views[0].messages)
    for part in ("`Bern`", "1 of 2 rows", "'note'", "median"):
        assert part in said


def test_rows_with_the_target_are_measured_as_a_test_part(shop: Path) -> None:
    found = predict(str(shop / "run"), shop / "test.csv", Request(has_probabilities=True))
    assert {"test_loss", "test_accuracy", "test_auroc", "test_mcc"} <= set(found.metrics)
    right = [str(n % 60 > 30) == one for n, one in enumerate(found.rows.predictions["bought"])]
    assert found.metrics["test_accuracy"] == sum(right) / len(right)
    assert found.rows.names == ["row", "bought", "p(False)", "p(True)"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_the_ending_of_the_file_decides_its_form(shop: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    view = predict_view(str(shop / "run"), shop / "new.csv", path, Request(has_probabilities=True))
    assert view.raw == ""
    assert f"wrote {path}" in view.messages
    if ending == "npz":
        with np.load(path) as arrays:
            assert arrays["probabilities"].sum(1) == pytest.approx([1, 1])
            assert set(arrays["predictions"][:, 0]) <= set(arrays["classes"])
    elif ending == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        assert parquet.read_table(path).column_names == ["row", "bought", "p(False)", "p(True)"]
    else:
        assert path.read_text().count("\n") == 3


def test_an_ensemble_is_the_mean_of_the_best_trials(shop: Path, tmp_path: Path) -> None:
    (shop / "train.csv").write_text((shop / "test.csv").read_text())  # two of the three are trained again
    said: list[str] = []
    run, rows = str(shop / "run"), shop / "new.csv"
    try:
        alone = [predict(run, rows, Request(number=n, has_probabilities=True)) for n in range(3)]
        all_three = predict(run, rows, Request(n_best=3, has_probabilities=True), said.append)
    finally:
        (shop / "train.csv").unlink()
    parts = [one.rows.probabilities for one in alone]
    assert all_three.rows.probabilities == pytest.approx(np.mean(parts, axis=0))  # type: ignore[arg-type]
    assert len(said) == 2
    assert "is trained again: its weights were not kept" in said[0]
    with pytest.raises(UsageError, match="only 3 trials"):
        predict(run, rows, Request(n_best=4))


def test_an_ensemble_of_different_windows_is_refused(tmp_path: Path) -> None:
    """Each length of a window predicts other rows, so the means would mix them."""
    rows = "".join(f"{n},{n * 1.5}\n" for n in range(60))
    (tmp_path / "train.csv").write_text("day,sold\n" + rows)
    text = STUDY.replace("val_accuracy, also: [val_mcc]", "val_mae").replace(
        "target: bought",
        "target: sold, series: {window: {choice: [3, 5]}}, validation: {by: time, fraction: 0.2}",
    )
    (tmp_path / "study.yaml").write_text(text)
    run_whole(tmp_path / "study.yaml", tmp_path / "run", "search.sampler=grid", "trial.optimizer.lr=0.01")
    run = str(tmp_path / "run")
    both = [len(predict(run, tmp_path / "train.csv", Request(number=n)).rows.ids) for n in range(2)]
    assert max(both) - min(both) == 2
    said: list[str] = []
    with pytest.raises(UsageError, match="their windows differ"):
        predict(run, tmp_path / "train.csv", Request(n_best=2), said.append)
    assert not said  # no trial is trained again before


@pytest.mark.slow
@pytest.mark.parametrize("outputs", ["last", "all"])
def test_forecasts_are_measured_where_the_file_has_the_later_rows(tmp_path: Path, outputs: str) -> None:
    values = np.cumsum(np.random.default_rng(0).normal(size=60))
    shops = np.where(np.arange(60) < 30, "a", "b")
    rows = [
        f"{n},{shop},{value!r}" for n, (shop, value) in enumerate(zip(shops, values.tolist(), strict=True))
    ]
    (tmp_path / "train.csv").write_text("\n".join(["day,shop,sold", *rows]))
    series = f"{{window: 3, horizon: 2, outputs: {outputs}}}"
    data = f"target: sold, columns: {{time: day, group: shop}}, series: {series}, validation: {{by: time, fraction: 0.2}}"
    text = STUDY.replace("val_accuracy, also: [val_mcc]", "val_mae").replace("target: bought", data)
    (tmp_path / "study.yaml").write_text(text.replace("trials: 3", "trials: 1"))
    run_whole(tmp_path / "study.yaml", tmp_path / "run")
    new = [*rows[:10], *rows[30:38]]
    new = [row.rpartition(",")[0] + "," if n in (8, 9) else row for n, row in enumerate(new)]
    (tmp_path / "new.csv").write_text("\n".join(["day,shop,sold", *new]))
    found = predict(str(tmp_path / "run"), tmp_path / "new.csv", Request())
    ends = np.array([int(number) - 1 for number in found.rows.ids])
    guess = np.array([*found.rows.predictions.values()]).T
    steps = np.array([1, 2]) if outputs == "all" else np.array([2])
    later = np.concatenate([values[:8], [np.nan] * 2, values[30:38], [np.nan] * 2])[ends[:, None] + steps]
    later[ends == 9] = np.nan  # the next row is of another shop
    is_known = np.isfinite(later).all(axis=1)
    assert 0 < is_known.sum() < len(ends)
    assert found.metrics["test_mae"] == pytest.approx(np.abs(guess - later)[is_known].mean(), rel=1e-5)
    (tmp_path / "short.csv").write_text("\n".join(["day,shop,sold", *rows[:3]]))
    assert predict(str(tmp_path / "run"), tmp_path / "short.csv", Request()).metrics == {}


def test_a_study_of_an_older_version_needs_its_training_data(shop: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "copy")
    (tmp_path / "copy" / "checkpoints").mkdir(parents=True)
    for path in (shop / "run").rglob("*"):
        if path.is_file():
            (folder.path / path.relative_to(shop / "run")).write_bytes(path.read_bytes())
    (kept,) = folder.checkpoints_path.iterdir()
    kept.write_bytes(bare_weights(kept.read_bytes()))
    with pytest.raises(UsageError, match=r"trained again and failed: error: .*train\.csv"):
        predict(str(folder.path), shop / "new.csv", Request())


def test_one_error_names_all_columns_that_do_not_fit(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("age,other\n12,1\nmany,2\n")
    with pytest.raises(DataError) as caught:
        predict(str(shop / "run"), tmp_path / "bad.csv", Request())
    for part in ("`income` is missing", "`city` is missing", "`many` in line 3"):
        assert part in caught.value.message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "new.csv"], "there is no study"),
        (["run", "nothing.csv"], "there is no file or folder nothing.csv"),
        (["m.safetensors", "new.csv", "--trial", "1"], "a model file holds one trial"),
        (["run", "new.csv", "--trial", "1", "--ensemble", "2"], "exclude each other"),
        (["run", "new.csv", "-o", "p.txt"], "no known file ending"),
        (["new.csv", "new.csv"], "is not a sound model file"),
    ],
)
def test_a_wrong_call_gives_one_error(
    shop: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(shop)
    code, out, err = called("predict", *words, capture=capsys, monkeypatch=monkeypatch)
    assert (code, out) == (2, "")
    assert message in err


def test_json_is_one_document_with_the_rows(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    code, out, _ = called(
        "predict", "run", "test.csv", "--proba", "--json", capture=capsys, monkeypatch=monkeypatch
    )
    document = json.loads(out)
    assert (code, document["kind"], document["rows"], document["classes"]) == (
        0,
        "predict",
        120,
        ["False", "True"],
    )
    assert len(document["predictions"]["bought"]) == len(document["probabilities"]) == 120
    assert document["metrics"]["test_accuracy"] > 0.5


class Frame:
    """A data frame, as far as pandas and polars agree on it."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = columns
        self.columns = [*columns]

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]


def test_a_loaded_model_takes_rows_in_any_form(shop: Path) -> None:
    """The example of docs/guide/predict.md, with the columns of this study."""
    model = load_model(shop / "m.safetensors")
    columns = {"age": [12, 51], "income": [1.5, None], "city": ["Oslo", "Bern"]}
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    expected = model.predict_proba(shop / "new.csv")
    for rows in (columns, records, Frame(columns), str(shop / "new.csv")):
        assert model.predict_proba(rows).tolist() == expected.tolist()
    assert model.predict(columns).tolist() == [model.classes[k] for k in expected.argmax(1)]
    x = model.preprocess(columns)
    assert x.shape == (2, 4)  # type: ignore[union-attr]
    assert model.module(x).softmax(1).tolist() == pytest.approx(expected, rel=1e-5)  # type: ignore[operator]
    assert model.config.data.target == "bought"
    with pytest.raises(DataError, match="row 2 of the rows"):
        model.predict({**columns, "age": ["12", "many"]})


def test_weights_alone_are_the_plain_tensors(shop: Path, tmp_path: Path) -> None:
    export(RunFolder(shop / "run"), None, tmp_path / "w.safetensors")
    tensors = safetensors.torch.load_file(tmp_path / "w.safetensors")
    module = load_model(shop / "m.safetensors").module
    assert {name: one.tolist() for name, one in module.state_dict().items()} == {  # type: ignore[union-attr]
        name: one.tolist() for name, one in tensors.items()
    }
