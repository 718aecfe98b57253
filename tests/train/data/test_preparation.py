"""Preparation is fitted to the training part alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import preparation
from tunecli.train.data.scaling import Normalization
from tunecli.train.data.table import Table, TextColumn

RNG = np.random.default_rng(0)
TRAIN, VALID = np.arange(30), np.arange(30, 40)


def knobs(normalize: str = "standard", **others: object) -> Data:
    return Data.model_validate({"source": "iris", "normalize": normalize, **others})


def table_of(x: np.ndarray, text: tuple[TextColumn, ...] = ()) -> Table:
    return Table(x, RNG.normal(5.0, 3.0, len(x)), "regression", text=text)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("standard", StandardScaler()), ("minmax", MinMaxScaler()), ("robust", RobustScaler())],
)
def test_scaling_is_scikit_learns(name: Normalization, reference: StandardScaler) -> None:
    x = RNG.normal(1e6, 10.0, (40, 3))
    found = preparation.fit(table_of(x), TRAIN, knobs(name))
    expected = reference.fit(x[TRAIN]).transform(x[VALID])
    np.testing.assert_allclose(preparation.apply(found, table_of(x), VALID).x, expected, rtol=1e-5, atol=1e-6)


def test_inputs_without_normalisation_are_unchanged() -> None:
    x = RNG.normal(size=(40, 3))
    found = preparation.fit(table_of(x), TRAIN, knobs("none"))
    np.testing.assert_array_equal(preparation.apply(found, table_of(x), VALID).x, x[VALID].astype(np.float32))


@pytest.mark.parametrize("name", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_column_becomes_zero(name: Normalization, value: float) -> None:
    table = table_of(np.full((40, 1), value))
    x = preparation.apply(preparation.fit(table, TRAIN, knobs(name)), table, VALID).x
    np.testing.assert_allclose(x, 0.0, atol=1e-6)


def test_images_are_standardised_per_channel() -> None:
    images = RNG.normal([[[3.0]], [[-5.0]]], [[[2.0]], [[0.5]]], (40, 2, 4, 4)).astype(np.float32)
    table = table_of(images)
    x = preparation.apply(preparation.fit(table, TRAIN, knobs("standard")), table, TRAIN).x
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3)), 1.0, atol=1e-5)


def test_a_missing_number_becomes_the_training_parts_median() -> None:
    x = RNG.normal(size=(40, 1))
    x[[3, 35]] = np.nan
    found = preparation.fit(table_of(x), TRAIN, knobs("none"))
    prepared = preparation.apply(found, table_of(x), np.array([3, 35])).x
    np.testing.assert_allclose(prepared, np.nanmedian(x[TRAIN]), rtol=1e-6)


def test_a_column_with_no_number_at_all_becomes_zero() -> None:
    table = table_of(np.full((40, 1), np.nan))
    assert not preparation.apply(preparation.fit(table, TRAIN, knobs("standard")), table, VALID).x.any()


def test_text_becomes_one_input_per_training_category_and_unknown_ones_are_zeros() -> None:
    words = np.array(["b", "a"] * 15 + ["c", None, "a"] + ["b"] * 7, dtype=object)
    table = table_of(RNG.normal(size=(40, 1)), (TextColumn("word", words),))
    found = preparation.fit(table, TRAIN, knobs("standard"))
    x = preparation.apply(found, table, np.array([30, 31, 32, 33])).x
    np.testing.assert_array_equal(x[:, 1:], [[0, 0], [0, 0], [1, 0], [0, 1]])


def test_a_regression_target_is_standardised_and_its_units_are_kept() -> None:
    table = table_of(np.zeros((40, 1)))
    found = preparation.fit(table, TRAIN, knobs("none"))
    y = preparation.apply(found, table, VALID).y
    assert y.dtype == np.float32
    np.testing.assert_allclose(y * found.target_scale + found.target_center, table.y[VALID], rtol=1e-5)


def test_robust_scaling_of_a_mostly_constant_feature_uses_its_deviation() -> None:
    x = np.zeros((40, 1))
    x[0] = 8.0
    found = preparation.fit(table_of(x), TRAIN, knobs("robust"))
    assert found.numbers.center == [0.0]
    np.testing.assert_allclose(found.numbers.scale, x[TRAIN].std())


def test_sequences_are_standardised_per_feature_over_examples_and_steps() -> None:
    sequences = RNG.normal([3.0, -5.0], [2.0, 0.5], (40, 7, 2)).astype(np.float32)
    table = table_of(sequences)
    x = preparation.apply(preparation.fit(table, TRAIN, knobs()), table, TRAIN).x
    assert x.shape == (30, 7, 2)
    np.testing.assert_allclose(x.mean(axis=(0, 1)), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 1)), 1.0, atol=1e-5)


def test_texts_become_tokens_of_the_training_parts_alphabet_and_length() -> None:
    texts = np.array(["ab", "abc", None] * 10 + ["abcabc", "z"] * 5, dtype=object)
    table = Table(
        np.zeros((40, 0)), np.arange(40) % 2, "classification", ("0", "1"), prose=TextColumn("t", texts)
    )
    found = preparation.fit(table, TRAIN, knobs())
    x = preparation.apply(found, table, np.array([0, 2, 30, 31])).x
    assert x.dtype == np.int64
    assert x.tolist() == [[2, 3, 0], [0, 0, 0], [2, 3, 4], [1, 0, 0]]


def test_preparation_does_not_change_tokens() -> None:
    tokens = RNG.integers(0, 5, (40, 3))
    table = Table(tokens, np.arange(40) % 2, "classification", ("0", "1"), n_tokens=5)
    x = preparation.apply(preparation.fit(table, TRAIN, knobs()), table, VALID).x
    np.testing.assert_array_equal(x, tokens[VALID])


@pytest.mark.parametrize("normalize", ["standard", "minmax"])
def test_numbers_too_large_to_scale_are_refused(normalize: str) -> None:
    x = RNG.normal(size=(40, 1))
    x[:2, 0] = (1e308, -1e308)
    with pytest.raises(DataError, match="too large to be scaled"):
        preparation.fit(table_of(x), TRAIN, knobs(normalize))
