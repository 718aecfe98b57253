"""What is fitted on the training part, and that nothing of the validation part gets into it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tunecli.train import preparation
from tunecli.train.table import Table, TextColumn

RNG = np.random.default_rng(0)
TRAIN, VALID = np.arange(30), np.arange(30, 40)


def table_of(x: np.ndarray, text: tuple[TextColumn, ...] = ()) -> Table:
    return Table(x, RNG.normal(5.0, 3.0, len(x)), "regression", text=text)


@pytest.mark.parametrize(("name", "reference"), [("standard", StandardScaler()), ("minmax", MinMaxScaler())])
def test_scaling_is_scikit_learns(name: preparation.Normalization, reference: StandardScaler) -> None:
    x = RNG.normal(1e6, 10.0, (40, 3))
    found = preparation.fit(table_of(x), TRAIN, name)
    expected = reference.fit(x[TRAIN]).transform(x[VALID])
    np.testing.assert_allclose(preparation.apply(found, table_of(x), VALID).x, expected, rtol=1e-5, atol=1e-6)


def test_without_normalisation_inputs_stay_as_they_are() -> None:
    x = RNG.normal(size=(40, 3))
    found = preparation.fit(table_of(x), TRAIN, "none")
    np.testing.assert_array_equal(preparation.apply(found, table_of(x), VALID).x, x[VALID].astype(np.float32))


@pytest.mark.parametrize("name", ["standard", "minmax"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_column_becomes_zero(name: preparation.Normalization, value: float) -> None:
    table = table_of(np.full((40, 1), value))
    x = preparation.apply(preparation.fit(table, TRAIN, name), table, VALID).x
    np.testing.assert_allclose(x, 0.0, atol=1e-6)


def test_images_are_standardised_per_channel() -> None:
    images = RNG.normal([[[3.0]], [[-5.0]]], [[[2.0]], [[0.5]]], (40, 2, 4, 4)).astype(np.float32)
    table = table_of(images)
    x = preparation.apply(preparation.fit(table, TRAIN, "standard"), table, TRAIN).x
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3)), 1.0, atol=1e-5)


def test_a_missing_number_becomes_the_training_parts_median() -> None:
    x = RNG.normal(size=(40, 1))
    x[[3, 35]] = np.nan
    found = preparation.fit(table_of(x), TRAIN, "none")
    prepared = preparation.apply(found, table_of(x), np.array([3, 35])).x
    np.testing.assert_allclose(prepared, np.nanmedian(x[TRAIN]), rtol=1e-6)


def test_a_column_with_no_number_at_all_becomes_zero() -> None:
    table = table_of(np.full((40, 1), np.nan))
    assert not preparation.apply(preparation.fit(table, TRAIN, "standard"), table, VALID).x.any()


def test_text_becomes_one_input_per_training_category_and_unknown_ones_are_zeros() -> None:
    words = np.array(["b", "a"] * 15 + ["c", None, "a"] + ["b"] * 7, dtype=object)
    table = table_of(RNG.normal(size=(40, 1)), (TextColumn("word", words),))
    found = preparation.fit(table, TRAIN, "standard")
    x = preparation.apply(found, table, np.array([30, 31, 32, 33])).x
    np.testing.assert_array_equal(x[:, 1:], [[0, 0], [0, 0], [1, 0], [0, 1]])


def test_a_regression_target_is_standardised_and_its_units_are_kept() -> None:
    table = table_of(np.zeros((40, 1)))
    found = preparation.fit(table, TRAIN, "none")
    y = preparation.apply(found, table, VALID).y
    assert y.dtype == np.float32
    np.testing.assert_allclose(y * found.target_scale + found.target_center, table.y[VALID], rtol=1e-5)


def test_the_validation_part_leaks_nothing_into_training() -> None:
    x = RNG.normal(size=(40, 3))
    x[2, 0] = np.nan
    words = RNG.choice(["u", "v", "w"], 40).astype(object)
    y = RNG.normal(size=40)
    changed_x, changed_words, changed_y = x.copy(), words.copy(), y.copy()
    changed_x[VALID], changed_words[VALID], changed_y[VALID] = 1e6, "new", -1e6
    before = Table(x, y, "regression", text=(TextColumn("t", words),))
    after = Table(changed_x, changed_y, "regression", text=(TextColumn("t", changed_words),))
    for name in ("standard", "minmax", "none"):
        one = preparation.apply(preparation.fit(before, TRAIN, name), before, TRAIN)
        other = preparation.apply(preparation.fit(after, TRAIN, name), after, TRAIN)
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.y, other.y)
