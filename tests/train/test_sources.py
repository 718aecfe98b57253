"""Every source gives a table; what is known before training agrees with it; torch stays unloaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunecli.errors import DataError
from tunecli.spec.knobs.data import Data
from tunecli.train.sources import BUNDLED_FACTS, DataFacts, facts_of, read_source, read_validation
from tunecli.train.table import Table

GENERATED = ["blobs", "moons", "circles", "classification", "regression", "friedman1"]


def data(source: object, **knobs: object) -> Data:
    return Data.model_validate({"source": source, **knobs})


def facts_from(table: Table) -> DataFacts:
    return DataFacts(len(table.x), table.x.shape[1:], table.task, len(table.class_names), table.class_counts)


@pytest.mark.parametrize("name", list(BUNDLED_FACTS))
def test_the_static_facts_of_a_bundled_set_are_those_of_the_set(name: str, tmp_path: Path) -> None:
    assert facts_of(data(name), tmp_path) == facts_from(read_source(data(name), tmp_path))


@pytest.mark.parametrize("name", GENERATED)
def test_a_generated_set_has_the_samples_asked_for_and_is_the_same_every_time(
    name: str, tmp_path: Path
) -> None:
    first = read_source(data({"name": name, "samples": 60, "seed": 1}), tmp_path)
    other = read_source(data({"name": name, "samples": 60, "seed": 2**32 + 1}), tmp_path)
    assert len(first.x) == 60
    np.testing.assert_array_equal(first.x, other.x)
    assert facts_of(data({"name": name, "samples": 60, "seed": 1}), tmp_path) == facts_from(first)


def test_a_generated_set_without_an_example_of_each_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few samples"):
        read_source(data({"name": "blobs", "samples": 2, "classes": 3}), tmp_path)


def test_text_is_kept_apart_and_the_notes_say_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("size,city,y\n1,Rom,a\n,Bern,b\n3,Rom,a\n")
    table = read_source(data("t.csv", target="y"), tmp_path)
    assert table.feature_names == ("size",)
    assert table.text[0].values.tolist() == ["Rom", "Bern", "Rom"]
    assert table.class_names == ("a", "b")
    assert table.notes[0] == "column 'city' is text: encoded one-hot"
    assert "'size'" in table.notes[1]
    assert facts_of(data("t.csv", target="y"), tmp_path).input_shape == (3,)


def test_a_file_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,y\n1,0\n2,1\n")
    knob = data("t.csv", target="y")
    first = read_source(knob, tmp_path)
    assert read_source(knob, tmp_path) is first
    path.write_text("a,y\n1,0\n2,1\n3,1\n")
    os.utime(path, ns=(1, 1))
    assert len(read_source(knob, tmp_path).x) == 3


@pytest.mark.parametrize(
    ("text", "knobs", "parameter", "message"),
    [
        ("a,y\n1,0\n2,1\n", {}, "data.target", "which column of t.csv is the target"),
        ("a,y\n1,0\n2,1\n", {"target": "yy"}, "data.target", "no column `yy`"),
        ("y\n1\n2\n", {"target": "y"}, "data.source", "no column beside the target"),
        ("a,y\n1,0\n2,\n", {"target": "y"}, "data.target", "missing or infinite in line 3 of t.csv"),
        ("a,y\n1,b\n2,b\n", {"target": "y"}, "data.target", "one class only"),
        ("a,y\n1,b\n2,c\n", {"target": "y", "task": "regression"}, "data.target", "the target is text"),
        ("a,y\n1,0.5\n2,0.5\n", {"target": "y"}, "data.target", "never varies"),
        (
            "a,y\n" + "".join(f"v{n},{n % 2}\n" for n in range(101)),
            {"target": "y"},
            "data.source",
            "text with 101 distinct values",
        ),
    ],
)
def test_a_table_that_is_wrong_names_the_key_to_blame(
    tmp_path: Path, text: str, knobs: dict[str, str], parameter: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_source(data("t.csv", **knobs), tmp_path)
    assert caught.value.parameter == parameter


def test_a_file_that_is_missing_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file no\.csv") as caught:
        read_source(data("no.csv", target="y"), tmp_path)
    assert str(tmp_path) in caught.value.hint


def test_a_folder_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_text("x")
    with pytest.raises(DataError, match="no known format"):
        read_source(data("t.xls", target="y"), tmp_path)
    with pytest.raises(DataError, match="is not a file"):
        read_source(data("./", target="y"), tmp_path)


@pytest.mark.parametrize(
    ("knobs", "parameter"), [({"target": "y"}, "data.target"), ({"task": "regression"}, "data.task")]
)
@pytest.mark.parametrize("source", ["iris", "moons"])
def test_a_source_with_its_own_target_takes_no_other(
    source: str, knobs: dict[str, str], parameter: str, tmp_path: Path
) -> None:
    for read in (read_source, facts_of):
        with pytest.raises(DataError) as caught:
            read(data(source, **knobs), tmp_path)
        assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b", "a"], "classification"),
        (["1", "2", "3"], "classification"),
        (["1", "2", "2.5"], "regression"),
        ([str(n) for n in range(21)], "regression"),
    ],
)
def test_the_task_follows_from_the_target(tmp_path: Path, values: list[str], task: str) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{n},{value}\n" for n, value in enumerate(values)))
    assert read_source(data("t.csv", target="y"), tmp_path).task == task


def test_a_validation_file_follows_the_training_files_columns_and_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,c,y\n1,u,no\n2,v,yes\n3,v,yes\n")
    (tmp_path / "v.csv").write_text("y,extra,c,a\nyes,0,7,5\n")
    knob = data("t.csv", target="y", validation={"file": "v.csv"})
    table = read_validation(knob, tmp_path)
    assert table is not None
    assert table.y.tolist() == [1]
    assert table.feature_names == ("a",)
    assert table.text[0].values.tolist() == ["7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,c,y\n1,u,maybe\n", "class `maybe` in line 2 of v.csv is not in the training data"),
        ("a,y\n1,yes\n", "v.csv has no column `c`"),
        ("a,c,y\nx,u,yes\n", "column `a` of v.csv is text"),
    ],
)
def test_a_validation_file_that_differs_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text("a,c,y\n1,u,no\n2,v,yes\n")
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_validation(data("t.csv", target="y", validation={"file": "v.csv"}), tmp_path)
    assert caught.value.parameter == "data.validation"


def test_a_validation_file_needs_a_training_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="goes with a training file"):
        read_validation(data("iris", validation={"file": "v.csv"}), tmp_path)


def test_nobody_can_write_into_a_shared_table(tmp_path: Path) -> None:
    table = read_source(data("iris"), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        table.x[0, 0] = 0.0


def test_checking_a_bundled_set_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tunecli.spec.knobs import TrialConfig\n"
        "from tunecli.train import inspection, preparation, splits, sources, batches, learning_rate\n"
        "from tunecli.trial import Objective\n"
        "config = TrialConfig.model_validate({'data': {'source': 'digits'}})\n"
        "assert inspection.complaints(config, Objective('val_loss', False), Path('.')) == []\n"
        "inspection.cost(config, Path('.'))\n"
        "print(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
