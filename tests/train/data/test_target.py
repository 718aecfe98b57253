"""Several targets, and labels, are read from columns, texts and arrays; what cannot be read is refused with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import preparation
from tunecli.train.data.files import read_table
from tunecli.train.data.oddities import oddities
from tunecli.train.data.table import Table
from tunecli.train.data.user_data import table_of

ROWS = "a,b,c,d\n1,10,x,1\n2,30,y,0\n4,20,x,1\n"
TAGS = "a,tags\n1,red|round\n2,\n3, round ;big\n4,red\n"


def read(folder: Path, text: str, known: Table | None = None, **settings: Any) -> Table:
    (folder / "t.csv").write_text(text)
    data = Data.model_validate({"source": "t.csv", **settings})
    return read_table(folder / "t.csv", data, known=None if known is None else known.schema)


def test_columns_of_numbers_are_targets_that_are_standardised_one_by_one(tmp_path: Path) -> None:
    table = read(tmp_path, ROWS, target=["a", "b"])
    assert (table.task, table.target_names, table.y.tolist()) == (
        "regression",
        ("a", "b"),
        [[1, 10], [2, 30], [4, 20]],
    )
    fitted = preparation.fit(table, np.arange(3), Data.model_validate({"source": "t.csv"}))
    scaled = preparation.apply(fitted, table, np.arange(3)).y
    for k, name in enumerate("ab"):
        alone = read(tmp_path, ROWS, target=name, task="regression")
        one = preparation.fit(alone, np.arange(3), Data.model_validate({"source": "t.csv"}))
        assert (preparation.apply(one, alone, np.arange(3)).y == scaled[:, k]).all()
        assert (one.target_center[0], one.target_scale[0]) == (
            fitted.target_center[k],
            fitted.target_scale[k],
        )


def test_columns_of_0_and_1_are_labels_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    text = "a,red,big\n1,1,true\n2,0,false\n3,1,true\n"
    table = read(tmp_path, text, target=["red", "big"])
    assert (table.task, table.class_names, table.y.tolist()) == (
        "multilabel",
        ("red", "big"),
        [[1, 1], [0, 0], [1, 1]],
    )
    assert (table.class_counts, table.label_counts) == ((), (2, 2))
    numbers = text.replace("true", "1").replace("false", "0")
    assert read(tmp_path, numbers, target=["red", "big"]).y.tolist() == table.y.tolist()
    assert read(tmp_path, numbers, target=["red", "big"], task="regression").task == "regression"


def test_a_text_holds_labels_and_a_further_file_has_those_of_training(tmp_path: Path) -> None:
    settings = {"target": "tags", "task": "multilabel"}
    table = read(tmp_path, TAGS, **settings)
    assert table.class_names == ("big", "red", "round")
    assert table.y.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert any(note.text.endswith("; 1 example without a label") for note in table.data_notes)
    further = read(tmp_path, "tags,a\nround,1\n,2\n", table, **settings)
    assert further.y.tolist() == [[0, 0, 1], [0, 0, 0]]
    with pytest.raises(DataError, match=r"label `blue` in line 2 of t\.csv is not in the training data"):
        read(tmp_path, "tags,a\nred|blue,1\n", table, **settings)


def test_classes_that_look_like_labels_are_noted(tmp_path: Path) -> None:
    text = "a,tags\n" + "".join(f"{n},{tags}\n" for n, tags in enumerate(["r|s", "s|t", "r", "t|r|s"] * 5))
    found = oddities(read(tmp_path, text, target="tags"), "tags", {}, is_inferred=True)
    assert "set `data.task: multilabel` to predict the 3 labels" in " ".join(odd.text for odd in found)


@pytest.mark.parametrize(
    ("y", "task", "names"),
    [
        (np.array([[1.5, 2], [0, 1]]), "regression", ("y0", "y1")),
        (np.array([[1, 0], [0, 1]]), "multilabel", ("y0", "y1")),
        ({"y": [[True, False], [True, True]], "class_names": ["red", "big"]}, "multilabel", ("red", "big")),
        ({"y": [[1.5, 2], [0, 1]], "class_names": ["price", "rent"]}, "regression", ("price", "rent")),
    ],
)
def test_an_array_of_several_columns_is_read_by_its_values(y: Any, task: str, names: tuple[str, ...]) -> None:
    made = {"x": np.ones((2, 3)), **(y if isinstance(y, dict) else {"y": y})}
    table = table_of(made, Data.model_validate({"source": "digits"}), "mine")
    assert (table.task, table.class_names or table.target_names) == (task, names)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": ["a", "c"]}, r"the target `c` is text \(`x` in line 2"),
        ({"target": ["a", "e"]}, "no column `e`"),
        ({"target": ["a", "b"], "task": "classification"}, "a classification has one target, not 2"),
        (
            {"target": ["b", "d"], "task": "multilabel"},
            "the target `b` is `10` in line 2 .* a label is true or false",
        ),
        ({"target": ["a", "b", "c", "d"]}, "no column besides the target"),
    ],
)
def test_targets_that_fit_no_task_are_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, ROWS, **settings)


def test_a_missing_or_constant_target_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the target `b` is missing or infinite in line 3"):
        read(tmp_path, "a,b,c\n1,2,3\n2,,4\n", target=["a", "b"])
    with pytest.raises(DataError, match="the target `b` never varies"):
        read(tmp_path, "a,b,c\n1,2,3\n2,2,4\n", target=["a", "b"])
