"""A raw target becomes classes or numbers, by the configured task or by its values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.train.data.table import Table, TextColumn
from tunecli.train.data.target import encode_target


def place(row: int) -> str:
    return f"row {row}"


def test_class_names_are_plain_and_sorted() -> None:
    y, task, names = encode_target(np.array([10.0, 2.0, 10.0]), "auto", place)
    assert (y.tolist(), task, names) == ([1, 0, 1], "classification", ("2", "10"))
    y, _, names = encode_target(np.array([True, False]), "auto", place)
    assert (y.tolist(), names) == ([1, 0], ("False", "True"))


@pytest.mark.parametrize(
    ("raw", "task"),
    [
        (np.arange(20.0), "classification"),
        (np.arange(21.0), "regression"),
        (np.array([0.0, 0.5]), "regression"),
        (np.array(["a", "b"], dtype=object), "classification"),
    ],
)
def test_auto_reads_text_and_few_whole_numbers_as_classes(raw: NDArray[Any], task: str) -> None:
    assert encode_target(raw, "auto", place)[1] == task


def test_configured_task_wins() -> None:
    y, task, names = encode_target(np.array([0.0, 1.0]), "regression", place)
    assert (str(y.dtype), task, names) == ("float64", "regression", ())
    assert encode_target(np.arange(30.0), "classification", place)[2] == tuple(map(str, range(30)))


@pytest.mark.parametrize(
    "raw", [np.array([1.0, np.nan]), np.array([1.0, np.inf]), np.array(["a", None], dtype=object)]
)
def test_missing_target_is_reported_with_its_row(raw: NDArray[Any]) -> None:
    with pytest.raises(DataError, match="in row 1"):
        encode_target(raw, "auto", place)


@pytest.mark.parametrize("label", [2**53, 2**53 + 1, -(2**53) - 1])
def test_classes_that_float64_merges_are_reported_with_their_row(label: int) -> None:
    with pytest.raises(DataError, match=r"the class in row 1 is a number of 2\^53 or more"):
        encode_target(np.array([0, label]).astype(np.float64), "auto", place)
    names = encode_target(np.array([0.0, 2.0**53 - 1]), "auto", place)[2]
    assert names == ("0", "9007199254740991")
    many = encode_target(np.array([0.0, 2.0**53]), "regression", place)
    assert many[0].tolist() == [0.0, 2.0**53]


def test_validation_target_uses_the_training_classes() -> None:
    known = Table(np.zeros((2, 1)), np.array([0, 1]), "classification", ("1", "2"))
    assert encode_target(np.array([2.0, 2.0]), "auto", place, known)[0].tolist() == [1, 1]
    with pytest.raises(DataError, match="class `3` in row 0 is not in the training data"):
        encode_target(np.array([3.0]), "auto", place, known)


def test_categories_exclude_missing_values() -> None:
    column = TextColumn("c", np.array(["b", None, "a", "b"], dtype=object))
    assert column.categories == {"a", "b"}


def test_target_read_as_missing_is_reported_with_its_text() -> None:
    with pytest.raises(DataError, match="in row 1: `null` counts as missing") as caught:
        encode_target(np.array(["a", None], dtype=object), "auto", place, mark="null")
    assert "if `null` is a class, give it another name" in caught.value.hint


@pytest.mark.parametrize(
    ("values", "shown", "hint"),
    [
        (["1", "2.5", "n/a?"], "`n/a?` in row 2", "write a number there"),
        (["1", "2,5"], "`2,5` in row 1", "decimal points instead of commas"),
    ],
)
def test_regression_reports_the_first_target_that_is_no_number(
    values: list[str], shown: str, hint: str
) -> None:
    with pytest.raises(DataError, match="the target is text") as caught:
        encode_target(np.array(values, dtype=object), "regression", place)
    assert shown in caught.value.message
    assert hint in caught.value.hint


def test_many_classes_are_encoded_quickly() -> None:
    names = np.array([f"class {number}" for number in range(60_000)], dtype=object)
    y, _, classes = encode_target(names, "auto", place)
    known = Table(np.zeros((len(y), 1)), y, "classification", classes)
    assert encode_target(names, "auto", place, known)[0].tolist() == y.tolist()
