"""Splits are stratified, nested, disjoint, and a function of the study's seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.errors import DataError
from tunecli.spec.knobs.data import Data, Validation
from tunecli.train.splits import part_sizes, split
from tunecli.train.table import Table


def table_of(*counts: int) -> Table:
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return Table(np.zeros((len(y), 1)), y, "classification", tuple(map(str, range(len(counts)))))


def numbers(n: int) -> Table:
    return Table(np.zeros((n, 1)), np.arange(n, dtype=float), "regression")


def data(**knobs: object) -> Data:
    return Data.model_validate({"source": "iris", **knobs})


counts_of_classes = st.lists(st.integers(1, 30), min_size=2, max_size=6)


@given(counts_of_classes, st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_a_fraction_parts_the_examples_and_leaves_each_class_one_to_train_on(
    counts: list[int], fraction: float, seed: int
) -> None:
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


def test_a_fraction_takes_the_same_share_of_every_class() -> None:
    table = table_of(100, 50, 10)
    (part,) = split(table, data(validation={"fraction": 0.2}), 3)
    assert np.bincount(table.y[part.valid_indices]).tolist() == [20, 10, 2]


@given(st.lists(st.integers(4, 20), min_size=2, max_size=5), st.integers(2, 4))
def test_folds_validate_every_example_once_and_differ_by_one_at_most(counts: list[int], folds: int) -> None:
    table = table_of(*counts)
    parts = split(table, data(validation={"folds": folds}), 5)
    assert sorted(np.concatenate([part.valid_indices for part in parts])) == list(range(sum(counts)))
    per_class = np.array([np.bincount(table.y[part.valid_indices], minlength=len(counts)) for part in parts])
    assert np.ptp(per_class, axis=0).max() <= 1
    assert np.ptp(per_class.sum(axis=1)) <= 1
    for part in parts:
        assert not set(part.train_indices) & set(part.valid_indices)


@given(counts_of_classes, st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_smaller_share_of_the_training_data_is_a_subset_of_a_larger_one(
    counts: list[int], one: float, other: float
) -> None:
    table = table_of(*counts, 30)
    small, large = sorted((one, other))
    (few,) = split(table, data(train_fraction=small), 1)
    (many,) = split(table, data(train_fraction=large), 1)
    assert set(few.train_indices) <= set(many.train_indices)
    assert set(table.y[few.train_indices]) == set(table.y)
    np.testing.assert_array_equal(few.valid_indices, many.valid_indices)


def test_the_seed_alone_decides_the_split() -> None:
    table = numbers(50)
    first, again, other = (split(table, data(), seed)[0].valid_indices for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)


def test_a_validation_file_leaves_the_table_to_training() -> None:
    knob = data(validation={"file": "v.csv"})
    (part,) = split(numbers(10), knob, 0, numbers(4))
    assert part.train_indices.tolist() == list(range(10))
    assert part.valid_indices.tolist() == [0, 1, 2, 3]


def test_more_folds_than_the_smallest_class_has_examples_are_refused() -> None:
    with pytest.raises(DataError, match="5 folds of 3 examples in the smallest class") as caught:
        split(table_of(10, 3), data(validation={"folds": 5}), 0)
    assert caught.value.parameter == "data.validation"


def test_one_example_cannot_be_split() -> None:
    with pytest.raises(DataError, match="none to validate on"):
        split(numbers(1), data(), 0)


@given(counts_of_classes, st.floats(0.05, 0.5), st.floats(0.1, 1.0))
def test_the_sizes_of_the_parts_are_known_without_the_labels(
    counts: list[int], fraction: float, train_fraction: float
) -> None:
    counts = [*counts, 5]
    knob = data(validation={"fraction": fraction}, train_fraction=train_fraction)
    (part,) = split(table_of(*counts), knob, 9)
    sizes = part_sizes(tuple(counts), Validation(fraction=fraction), train_fraction)
    assert sizes == ((len(part.train_indices), len(part.valid_indices)),)
