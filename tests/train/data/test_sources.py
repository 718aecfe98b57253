"""Every source gives a table, facts before training agree with it, and torch stays unloaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.sources import (
    BUNDLED_FACTS,
    DataFacts,
    facts_of,
    read_source,
    read_test,
    read_validation,
    require_test,
)
from tunecli.train.data.table import Inputs, Table

GENERATED = ["blobs", "moons", "circles", "classification", "regression", "friedman1"]


def data(source: object, **knobs: object) -> Data:
    return Data.model_validate({"source": source, **knobs})


def facts_from(table: Table) -> DataFacts:
    return DataFacts(
        len(table.x),
        Inputs(table.x.shape[1:]),
        table.task,
        len(table.class_names),
        table.class_counts,
        min_target=table.y.min() if table.task == "regression" else None,
        class_names=table.class_names,
        has_zero_target=table.task == "regression" and 0.0 in table.y,
    )


@pytest.mark.parametrize("name", list(BUNDLED_FACTS))
def test_constant_facts_match_the_bundled_sets(name: str, tmp_path: Path) -> None:
    assert facts_of(data(name), tmp_path) == facts_from(read_source(data(name), tmp_path))


@pytest.mark.parametrize("name", GENERATED)
def test_generated_set_has_the_configured_samples_and_is_reproducible(name: str, tmp_path: Path) -> None:
    first = read_source(data({"name": name, "samples": 60, "seed": 1}), tmp_path)
    other = read_source(data({"name": name, "samples": 60, "seed": 2**32 + 1}), tmp_path)
    assert len(first.x) == 60
    np.testing.assert_array_equal(first.x, other.x)
    assert facts_of(data({"name": name, "samples": 60, "seed": 1}), tmp_path) == facts_from(first)


def test_a_generated_set_without_an_example_of_each_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few samples"):
        read_source(data({"name": "blobs", "samples": 2, "classes": 3}), tmp_path)


def test_text_columns_are_separate_and_noted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("size,city,y\n1,Rom,a\n,Bern,b\n3,Rom,a\n")
    table = read_source(data("t.csv", target="y"), tmp_path)
    assert table.feature_names == ("size",)
    assert table.text[0].values.tolist() == ["Rom", "Bern", "Rom"]
    assert table.class_names == ("a", "b")
    assert table.notes[0] == "column 'city' is text: encoded one-hot"
    assert "'size'" in table.notes[1]
    facts = facts_of(data("t.csv", target="y"), tmp_path)
    assert facts is not None
    assert facts.inputs.shape == (3,)


def test_changed_file_is_read_again(tmp_path: Path) -> None:
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
        ("y\n1\n2\n", {"target": "y"}, "data.source", "no column besides the target"),
        ("a,y\n1,0\n2,\n", {"target": "y"}, "data.target", "missing or infinite in line 3 of t.csv"),
        ("a,y\n1,b\n2,b\n", {"target": "y"}, "data.target", "only one class"),
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
def test_bad_table_raises_an_error_with_its_key(
    tmp_path: Path, text: str, knobs: dict[str, str], parameter: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_source(data("t.csv", **knobs), tmp_path)
    assert caught.value.parameter == parameter


def test_missing_file_is_reported_with_the_searched_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file no\.csv") as caught:
        read_source(data("no.csv", target="y"), tmp_path)
    assert str(tmp_path) in caught.value.hint


def test_a_folder_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_text("x")
    with pytest.raises(DataError, match="no known file ending"):
        read_source(data("t.xls", target="y"), tmp_path)
    with pytest.raises(DataError, match="is a folder") as caught:
        read_source(data(f"../{tmp_path.name}", target="y"), tmp_path)
    assert "with a slash" in caught.value.hint
    (tmp_path / "t.csv").write_text("a,y\n")
    with pytest.raises(DataError, match="is a folder") as caught:
        read_source(data(f"../{tmp_path.name}", target="y"), tmp_path)
    assert caught.value.hint == f"write `../{tmp_path.name}/*.csv` for all its tables"


@pytest.mark.parametrize(
    ("knobs", "parameter"), [({"target": "y"}, "data.target"), ({"task": "regression"}, "data.task")]
)
@pytest.mark.parametrize("source", ["iris", "moons"])
def test_source_with_its_own_target_refuses_another(
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
def test_task_is_inferred_from_the_target(tmp_path: Path, values: list[str], task: str) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{n},{value}\n" for n, value in enumerate(values)))
    assert read_source(data("t.csv", target="y"), tmp_path).task == task


def test_validation_file_uses_the_training_columns_and_classes(tmp_path: Path) -> None:
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
        ("a,y\n1,yes\n", "column `c` of the training data is missing in v.csv"),
        ("a,c,y\nx,u,yes\n", "column `a` of v.csv holds the text"),
    ],
)
def test_validation_file_that_disagrees_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text("a,c,y\n1,u,no\n2,v,yes\n")
    (tmp_path / "v.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_validation(data("t.csv", target="y", validation={"file": "v.csv"}), tmp_path)
    assert caught.value.parameter == "data.validation"


def test_a_validation_file_needs_a_training_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs a source that is a file or a folder"):
        read_validation(data("iris", validation={"file": "v.csv"}), tmp_path)


def test_test_file_uses_the_training_columns_and_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,c,y\n1,u,no\n2,v,yes\n3,v,yes\n")
    (tmp_path / "w.csv").write_text("y,a\nyes,7\n")
    knob = data("t.csv", target="y", test={"file": "w.csv"})
    with pytest.raises(DataError, match=r"column `c` of the training data is missing in w\.csv") as caught:
        read_test(knob, tmp_path)
    assert caught.value.parameter == "data.test"
    (tmp_path / "w.csv").write_text("y,a,c\nyes,7,z\nno,8,u\n")
    table = read_test(knob, tmp_path)
    assert table is not None
    assert table.y.tolist() == [1, 0]
    assert read_test(data("t.csv", target="y", test={"fraction": 0.5}), tmp_path) is None
    assert read_test(data("t.csv", target="y"), tmp_path) is None


@pytest.mark.parametrize(
    ("source", "test", "message"),
    [
        ("t.csv", {"file": "no.csv"}, "there is no file no.csv"),
        ("t.csv", {"own": True}, "t.csv has no test part of its own"),
        ("iris", {"own": True}, "iris has no test part of its own"),
        ("iris", {"file": "t.csv"}, "needs a source that is a file or a folder"),
        ({"python": "mine:make"}, {"file": "t.csv"}, "the source is mine:make"),
        ("photos/", {"file": "t.csv"}, "there is no folder t.csv"),
    ],
)
def test_missing_test_part_is_reported_without_reading_data(
    source: object, test: dict[str, object], message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_text("never read")
    with pytest.raises(DataError, match=message) as caught:
        require_test(data(source, test=test), tmp_path)
    assert caught.value.parameter == "data.test"


def test_folder_of_images_is_read_again_after_a_new_file(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "photos" / name / "a.png")
    knob = data(
        {"name": "images", "path": "photos", "size": 4, "mode": "gray"}, validation={"file": "photos"}
    )
    first = read_source(knob, tmp_path)
    assert read_source(knob, tmp_path) is first
    facts = facts_of(knob, tmp_path)
    assert facts is not None
    assert (facts.inputs, facts.class_counts) == (Inputs((1, 4, 4)), (1, 1))
    validation = read_validation(knob, tmp_path)
    assert validation is not None
    np.testing.assert_array_equal(validation.x, first.x)
    Image.new("L", (4, 4)).save(tmp_path / "photos" / "cat" / "b.png")
    os.utime(tmp_path / "photos" / "cat", ns=(1, 1))
    assert read_source(knob, tmp_path).class_counts == (2, 1)


def test_facts_of_text_use_the_whole_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,y\nabc,0\nabcdef,1\nb,0\n")
    facts = facts_of(data("t.csv", target="y", text="t"), tmp_path)
    assert facts is not None
    assert facts.inputs == Inputs((6,), 8)
    facts = facts_of(data("t.csv", target="y", text="t", max_length=4, max_tokens=5), tmp_path)
    assert facts is not None
    assert facts.inputs == Inputs((4,), 5)


@pytest.mark.parametrize(
    ("source", "inputs"), [("iris", "image"), ("digits", "sequence"), ("t.csv", "image")]
)
def test_wrong_inputs_kind_is_refused(source: str, inputs: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("t,y\n1,0\n2,1\n")
    for read in (read_source, facts_of):
        with pytest.raises(DataError, match="has inputs of the kind") as caught:
            read(data(source, inputs=inputs, target="y" if source == "t.csv" else None), tmp_path)
        assert caught.value.parameter == "data.inputs"


def test_shared_table_is_read_only(tmp_path: Path) -> None:
    table = read_source(data("iris"), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        table.x[0, 0] = 0.0


def test_checking_a_bundled_set_loads_neither_torch_nor_scikit_learn() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tunecli.config.schema import TrialConfig\n"
        "from tunecli.train import validation\n"
        "from tunecli.train.chains import learning_rate\n"
        "from tunecli.train.workload import cost\n"
        "from tunecli.train.data import preparation, sources, splits\n"
        "from tunecli.objective import Objective\n"
        "config = TrialConfig.model_validate({'data': {'source': 'digits'}})\n"
        "assert validation.trial_problems(config, Objective('val_loss', False), Path('.')) == []\n"
        "assert cost(config, Path('.')).n_steps > 0\n"
        "print(sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
