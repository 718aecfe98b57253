"""Everything wrong with a split is found at once, and each message says what mends it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunecli.config.schema import validation as parts
from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.splits import is_redrawn, parts_and_problems, split
from tunecli.train.data.table import RowRoles, Table


def objects(values: list[str | None]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def table_of(
    marks: list[str | None], groups: list[str | None] | None = None, classes: list[int] | None = None
) -> Table:
    roles = RowRoles(part=objects(marks), group=None if groups is None else objects(groups))
    y = np.array([0, 1] * len(marks))[: len(marks)] if classes is None else np.array(classes)
    return Table(np.zeros((len(y), 1)), y, "classification", ("no", "yes"), roles=roles)


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "mine.csv", "target": "y", **knobs})


def messages(
    table: Table, knob: Data, validation: Table | None = None, test: Table | None = None
) -> list[str]:
    _, problems = parts_and_problems(table, knob, 0, validation, test)
    return [f"{path}: {message} ({hint})" for path, message, hint in problems]


@given(st.lists(st.sampled_from(["train", "validation", "test"]), min_size=12, max_size=40))
def test_a_column_assigns_every_row(marks: list[str]) -> None:
    table = table_of(
        [*marks, "train", "train", "validation", "test"],
        classes=[0, 1] * (len(marks) // 2 + 2) + [0] * (len(marks) % 2),
    )
    knob = data(validation={"by": "column"}, test={"by": "column"})
    try:
        (part,) = split(table, knob, 0)
    except DataError as error:
        assert "no training example" in error.message
        return
    assert table.roles.part is not None
    for name, rows in (
        ("train", part.train_indices),
        ("validation", part.valid_indices),
        ("test", part.test_indices),
    ):
        np.testing.assert_array_equal(rows, np.flatnonzero(table.roles.part == name))
    (apart,) = split(table, data(validation={"by": "column"}), 0)
    assert not {*apart.train_indices} & {*part.test_indices}, "test rows never train"


def test_columns_that_are_missing_are_all_reported() -> None:
    table = Table(np.zeros((4, 1)), np.array([0, 1, 0, 1]), "classification", ("no", "yes"))
    knob = data(validation={"folds": 2, "by": "group"}, test={"fraction": 0.2, "by": "time"})
    assert messages(table, knob) == [
        "data.validation.by: `by: group` needs the group of each row (name the column in `data.columns.group`)",
        "data.test.by: `by: time` needs the time of each row (name the column in `data.columns.time`)",
    ]


def test_marks_that_name_no_part_and_parts_without_rows_are_reported() -> None:
    knob = data(validation={"by": "column"}, test={"by": "column"})
    (unknown,) = messages(table_of(["train", "holdout", None]), knob)
    assert "name no part: 'holdout', '(missing)' (write `train`, `validation` or `test`)" in unknown
    assert messages(table_of(["train", "train"]), knob) == [
        "data.validation.by: no row is marked `validation` (mark rows with `validation`)",
        "data.test.by: no row is marked `test` (mark rows with `test`)",
    ]
    (fraction,) = messages(
        table_of(["train", "validation"]), data(validation={"by": "column"}, test={"fraction": 0.5})
    )
    assert "write `test: {by: column}`" in fraction


def test_groups_in_two_parts_of_a_column_and_classes_without_training_rows_are_reported() -> None:
    marks: list[str | None] = ["train", "validation", "train", "validation"]
    table = table_of(marks, ["a", "a", "b", "c"], [0, 1, 0, 1])
    assert messages(table, data(validation={"by": "column"})) == [
        "data.validation: class 'yes' has no training example (mark a row of each class with `train`)",
        (
            "data.validation.by: 1 group has rows in two parts of the split column: 'a' "
            "(mark all rows of a group alike, or give no groups)"
        ),
    ]


def test_groups_that_a_file_shares_with_the_training_data_are_reported() -> None:
    table = table_of(["train"] * 4, ["a", "a", "b", "c"])
    other = table_of(["train"] * 3, ["b", "c", "d"])
    knob = data(validation={"file": "v.csv"}, test={"file": "w.csv"})
    first, second = messages(table, knob, other, other)
    assert first.startswith(
        "data.validation.file: 2 groups are both in the training and in the validation file: 'b', 'c'"
    )
    assert second.startswith("data.test.file: 2 groups are both in the training and in the test file")
    assert not messages(table, knob, table_of(["train"], ["e"]))


def test_quantiles_of_a_class_are_refused() -> None:
    (problem,) = messages(
        table_of(["train"] * 6), data(validation={"fraction": 0.2, "stratify": "quantiles"})
    )
    assert problem.startswith("data.validation.stratify: `stratify: quantiles` needs a target of one number")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({}, "write exactly one of"),
        ({"by": "group"}, "write exactly one of"),
        ({"fraction": 0.2, "by": "column"}, "write nothing beside it"),
        ({"file": "v.csv", "by": "group"}, "no effect with a file"),
        ({"fraction": 0.2, "gap": 3}, "`gap` needs `by: time`"),
        ({"fraction": 0.2, "by": "time", "gap": "soon"}, "a time such as 90s"),
        ({"fraction": 0.2, "repeats": 2}, "`repeats` draws random folds again"),
        ({"folds": 3, "by": "time", "repeats": 2}, "`repeats` draws random folds again"),
        ({"folds": 3, "by": "time", "stratify": "none"}, "drawn at random only"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(part: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        parts.Validation.model_validate(part)
    assert caught.value.error_count() == 1
    if "folds" not in part and "repeats" not in part:
        with pytest.raises(ValidationError, match=message):
            parts.Test.model_validate(part)


@pytest.mark.parametrize(
    ("knobs", "is_drawn"),
    [
        ({"validation": {"folds": 3}}, True),
        ({"validation": {"fraction": 0.2, "by": "group"}}, True),
        ({"validation": {"fraction": 0.2, "by": "time"}}, False),
        ({"validation": {"fraction": 0.2, "by": "time"}, "train_fraction": 0.5}, False),
        ({"validation": {"by": "column"}, "train_fraction": 0.5}, True),
        ({"validation": {"by": "column"}, "test": {"by": "column"}}, False),
        ({"validation": {"file": "v.csv"}}, False),
        ({"validation": {"file": "v.csv"}, "test": {"fraction": 0.2}}, True),
    ],
)
def test_files_times_and_columns_fix_a_split(knobs: dict[str, object], is_drawn: bool) -> None:
    assert is_redrawn(data(**knobs)) is is_drawn
