"""Splits are stratified, nested, disjoint, and a function of the study's seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.config.schema.data import Data
from tunecli.config.schema.validation import Validation
from tunecli.errors import DataError
from tunecli.train.data.splits import part_sizes, split, validated_classes
from tunecli.train.data.table import Table


def table_of(*counts: int) -> Table:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return Table(np.zeros((len(y), 1)), y, "classification", tuple(map(str, range(len(counts)))))


def numbers(n: int) -> Table:
    return Table(np.zeros((n, 1)), np.arange(n, dtype=float), "regression")


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "iris", **knobs})


counts_of_classes = st.lists(st.integers(1, 30), min_size=2, max_size=6)


@given(counts_of_classes, st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_fraction_leaves_each_class_a_training_example(counts: list[int], fraction: float, seed: int) -> None:
    table = table_of(*counts)
    knob = data(validation={"fraction": fraction})
    if sum(counts) == len(counts):
        with pytest.raises(DataError):
            split(table, knob, seed)
        return
    (part,) = split(table, knob, seed)
    both = np.concatenate([part.train_indices, part.valid_indices])
    assert sorted(both) == list(range(sum(counts)))
    assert set(table.y[part.train_indices]) == set(range(len(counts)))
    wanted = min(max(1, round(sum(counts) * fraction)), sum(counts) - len(counts))
    assert len(part.valid_indices) == wanted


def test_fraction_is_stratified() -> None:
    table = table_of(100, 50, 10)
    (part,) = split(table, data(validation={"fraction": 0.2}), 3)
    assert np.bincount(table.y[part.valid_indices]).tolist() == [20, 10, 2]


@given(st.lists(st.integers(4, 20), min_size=2, max_size=5), st.integers(2, 4))
def test_folds_validate_every_example_once_and_differ_by_at_most_one(counts: list[int], folds: int) -> None:
    table = table_of(*counts)
    parts = split(table, data(validation={"folds": folds}), 5)
    assert sorted(np.concatenate([part.valid_indices for part in parts])) == list(range(sum(counts)))
    per_class = np.array([np.bincount(table.y[part.valid_indices], minlength=len(counts)) for part in parts])
    assert np.ptp(per_class, axis=0).max() <= 1
    assert np.ptp(per_class.sum(axis=1)) <= 1
    for part in parts:
        assert not set(part.train_indices) & set(part.valid_indices)


@given(counts_of_classes, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_smaller_train_fraction_is_a_subset_of_a_larger_one(
    counts: list[int], one: float, other: float
) -> None:
    table = table_of(*counts, 30)
    small, large = sorted((one, other))
    (few,) = split(table, data(train_fraction=small), 1)
    (many,) = split(table, data(train_fraction=large), 1)
    assert set(few.train_indices) <= set(many.train_indices)
    assert set(table.y[few.train_indices]) == set(table.y)
    np.testing.assert_array_equal(few.valid_indices, many.valid_indices)


def test_split_depends_on_the_seed_alone() -> None:
    table = numbers(50)
    first, again, other = (split(table, data(), seed)[0].valid_indices for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_all_rows_train_if_there_is_a_validation_file() -> None:
    knob = data(validation={"file": "v.csv"})
    (part,) = split(numbers(10), knob, 0, numbers(4))
    assert part.train_indices.tolist() == list(range(10))
    assert part.valid_indices.tolist() == [0, 1, 2, 3]


def test_more_folds_than_the_smallest_class_has_examples_are_refused() -> None:
    with pytest.raises(
        DataError, match="5 folds are more than the 3 examples in the smallest class"
    ) as caught:
        split(table_of(10, 3), data(validation={"folds": 5}), 0)
    assert caught.value.parameter == "data.validation"


def test_one_example_cannot_be_split() -> None:
    with pytest.raises(DataError, match="none to validate on"):
        split(numbers(1), data(), 0)


@given(counts_of_classes, st.floats(0.05, 0.5), st.floats(0.1, 1.0))
def test_part_sizes_need_no_labels(counts: list[int], fraction: float, train_fraction: float) -> None:
    counts = [*counts, 5]
    knob = data(validation={"fraction": fraction}, train_fraction=train_fraction)
    (part,) = split(table_of(*counts), knob, 9)
    sizes = part_sizes(tuple(counts), Validation(fraction=fraction), train_fraction)
    assert sizes == ((len(part.train_indices), len(part.valid_indices)),)


@given(
    st.lists(st.integers(2, 40), min_size=2, max_size=4),
    st.one_of(st.builds(lambda share: {"fraction": share}, st.floats(0.01, 0.9)), st.just({"folds": 2})),
    st.none() | st.builds(lambda share: {"fraction": share}, st.floats(0.05, 0.2)),
    st.integers(0, 2**40),
)
def test_the_classes_of_a_validation_part_need_no_labels_or_seed(
    counts: list[int], validation: dict[str, float], test: dict[str, float] | None, seed: int
) -> None:
    knob, table = data(validation=validation, test=test), table_of(*counts)
    try:
        parts = split(table, knob, seed)
    except DataError:
        with pytest.raises(DataError):
            validated_classes(tuple(counts), knob.validation, knob.test)
        return
    found = tuple({*table.y[part.valid_indices].tolist()} for part in parts)
    assert validated_classes(tuple(counts), knob.validation, knob.test) == found


@given(counts_of_classes, st.floats(0.05, 0.5), st.floats(0.05, 0.5), st.integers(0, 2**40))
def test_test_part_does_not_depend_on_the_validation(
    counts: list[int], fraction: float, test_fraction: float, seed: int
) -> None:
    counts = [count + 4 for count in counts]
    table = table_of(*counts)
    test = {"fraction": test_fraction}
    (whole,) = split(table, data(validation={"fraction": fraction}, test=test), seed)
    rows = np.concatenate([whole.train_indices, whole.valid_indices, whole.test_indices])
    assert sorted(rows) == list(range(sum(counts)))
    n_test = min(max(1, round(sum(counts) * test_fraction)), sum(counts) - len(counts))
    assert len(whole.test_indices) == n_test
    assert set(table.y[whole.train_indices]) == set(range(len(counts)))
    for knob in (data(validation={"folds": 2}, test=test), data(test=test, train_fraction=0.5)):
        for part in split(table, knob, seed):
            np.testing.assert_array_equal(part.test_indices, whole.test_indices)
    sizes = part_sizes(tuple(counts), Validation(fraction=fraction), 1.0, test=data(test=test).test)
    assert sizes == ((len(whole.train_indices), len(whole.valid_indices)),)


def test_split_without_a_test_part_is_unchanged() -> None:
    (part,) = split(numbers(30), data(), 3)
    assert len(part.test_indices) == 0
    (beside,) = split(numbers(30), data(test={"file": "w.csv"}), 3, test=numbers(4))
    np.testing.assert_array_equal(part.train_indices, beside.train_indices)
    assert beside.test_indices.tolist() == [0, 1, 2, 3]


def test_a_test_part_is_stratified() -> None:
    (part,) = split(table_of(100, 50, 10), data(test={"fraction": 0.2}), 3)
    assert np.bincount(table_of(100, 50, 10).y[part.test_indices]).tolist() == [20, 10, 2]


@pytest.mark.parametrize(
    ("table", "message"), [(numbers(1), "one example"), (table_of(1, 1), "of 2 classes")]
)
def test_too_few_examples_for_a_test_part_are_refused(table: Table, message: str) -> None:
    with pytest.raises(DataError, match=f"{message} leave.? none to test on") as caught:
        split(table, data(test={"fraction": 0.2}), 0)
    assert caught.value.parameter == "data.test"


def test_folds_are_checked_after_the_test_part_is_drawn() -> None:
    with pytest.raises(DataError, match="5 folds are more than the 4 examples"):
        split(table_of(20, 5), data(validation={"folds": 5}, test={"fraction": 0.2}), 0)


def labels(n: int, shares: list[float]) -> Table:
    y = (np.random.default_rng(1).random((n, len(shares))) < shares).astype(np.int64)
    return Table(np.zeros((n, 1)), y, "multilabel", tuple(map(str, range(len(shares)))))


def test_labels_and_their_frequent_sets_are_shared_out() -> None:
    table = labels(600, [0.5, 0.3, 0.1, 0.02])
    parts = split(table, data(validation={"folds": 5}), 3)
    counts = np.array([table.y[part.valid_indices].sum(axis=0) for part in parts])
    assert np.ptp(counts, axis=0).max() <= 6
    assert np.ptp(counts[:, 3]) <= 1, "the rarest label"
    codes = table.y @ [1, 2, 4, 8]
    sets = np.array([np.bincount(codes[part.valid_indices], minlength=16) for part in parts])
    assert np.ptp(sets[:, sets.sum(axis=0) >= 10], axis=0).max() <= 1
    assert sorted(np.concatenate([part.valid_indices for part in parts])) == list(range(600))


def test_labels_of_few_rows_can_be_split() -> None:
    for n in (2, 3, 7):
        (part,) = split(labels(n, [0.5, 0.5]), data(validation={"fraction": 0.5}), 0)
        assert len(part.train_indices) + len(part.valid_indices) == n
        assert len(part.valid_indices) and len(part.train_indices)
