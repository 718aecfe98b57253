"""Scaled columns match exact arithmetic at any distance from 0, and rounding never becomes an input."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data import preparation
from tunecli.train.data.scaling import Normalization, center_and_scale, rounding
from tunecli.train.data.table import Table
from tunecli.train.data.target import encode_target

SCALED: list[Normalization] = ["standard", "minmax", "robust"]


def scaled(
    x: NDArray[np.float64], normalize: str, valid: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """A column as `preparation` gives it to a model: fitted on ``x``, and of ``valid`` where that is given.

    It has a neighbour: numpy adds up the rows of a lone column in a better order.
    """
    knobs = Data.model_validate({"source": "iris", "normalize": normalize})
    rows = x if valid is None else np.concatenate([x, valid])
    table = Table(np.stack([rows, rows], axis=1), np.arange(len(rows)) % 2, "classification", ("0", "1"))
    found = preparation.fit(table, np.arange(len(x)), knobs)
    kept = np.arange(len(x)) if valid is None else np.arange(len(x), len(rows))
    return preparation.apply(found, table, kept).x[:, 0]


def exact_scores(x: NDArray[np.float64]) -> tuple[list[float], float]:
    """Standard scores and deviation, from exact sums."""
    values = [Fraction(value) for value in x.tolist()]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 60, -(10**6), 10**6
        deviation = (Decimal(variance.numerator) / Decimal(variance.denominator)).sqrt()
        scores = [
            float(Decimal((value - mean).numerator) / Decimal((value - mean).denominator) / deviation)
            for value in values
        ]
        return scores, float(deviation)


offsets = st.floats(-250, 250).map(lambda power: 10.0**power) | st.floats(-1e19, 1e19) | st.just(0.0)
shares = st.floats(-17, 2).map(lambda power: 10.0**power)


@given(offsets, shares, st.lists(st.floats(-1, 1), min_size=2, max_size=40))
@example(1.7e18, 3e-13, [0.1, 0.9, -0.3, 0.4])
@example(1e30, 0.0, [0.0, 0.0, 0.0])
@example(1e-250, 1e-3, [-1.0, 1.0])
@example(1e200, 1.0, [-1.0, 1.0])
def test_standard_scores_match_exact_arithmetic_or_are_0(
    offset: float, share: float, places: list[float]
) -> None:
    x = offset + np.array(places) * share * (abs(offset) or 1.0)
    found = scaled(x, "standard")
    step = float(rounding(np.abs(x).max(), x.dtype))
    if x.min() == x.max():
        assert not found.any()
        return
    scores, deviation = exact_scores(x)
    if not found.any():
        assert deviation <= 4.001 * step
        return
    assert deviation >= 3.999 * step
    # The center is a float64, so it is off by up to half a step.
    np.testing.assert_allclose(found, scores, rtol=1e-6, atol=1e-6 + step / deviation)


@given(
    st.sampled_from(SCALED),
    offsets,
    shares,
    st.lists(st.floats(-1, 1), min_size=2, max_size=40),
    st.floats(-1e30, 1e30),
)
def test_scaled_training_values_are_bounded_at_any_offset(
    normalize: Normalization, offset: float, share: float, places: list[float], other: float
) -> None:
    x = offset + np.array(places) * share * (abs(offset) or 1.0)
    found = scaled(x, normalize)
    if normalize == "standard":
        assert np.abs(found).max() <= math.sqrt(len(x)) + 0.2
    if normalize == "minmax":
        assert (found >= 0).all()
        assert (found <= 1).all()
    if x.min() == x.max():
        assert not found.any()
        assert not scaled(x, normalize, np.array([other])).any()


@pytest.mark.parametrize("normalize", SCALED)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9, 1e30, 1e300, 5e-324, 1.7e18])
def test_column_constant_in_training_is_0_in_every_row(normalize: Normalization, value: float) -> None:
    x = np.full(91, value)
    assert not scaled(x, normalize).any()
    assert not scaled(x, normalize, np.array([value + 1e5, -value, np.nan])).any()


@pytest.mark.parametrize("normalize", SCALED)
@pytest.mark.parametrize("center", [1.0, -1e9, 1e30, 1.7e18])
def test_column_that_varies_by_rounding_is_0(normalize: Normalization, center: float) -> None:
    step = np.spacing(abs(center))
    x = center + step * (np.arange(40) % 3)
    assert x.min() < x.max()
    assert not scaled(x, normalize).any()
    assert not scaled(x, normalize, np.array([0.0])).any()
    kept = scaled(center + step * 1000 * (np.arange(40) % 3), normalize)
    assert len(set(kept.tolist())) == 3


def test_nanosecond_timestamps_keep_their_distances() -> None:
    distances = np.random.default_rng(0).integers(0, 1_000_000, 30_000) // 256 * 256
    stamps = (1_700_000_000_000_000_000 // 256 * 256 + distances).astype(np.float64)
    expected = (distances - distances.mean()) / distances.std()
    np.testing.assert_allclose(
        scaled(stamps, "standard"), expected, atol=0.0005
    )  # half of 256 is 0.0004 deviations


@pytest.mark.parametrize("normalize", SCALED)
def test_images_and_sequences_use_float32_rounding(normalize: Normalization) -> None:
    flat = np.full((20, 2, 4, 4), 0.1, dtype=np.float32)
    flat[:, 1] += np.random.default_rng(0).normal(size=(20, 4, 4)).astype(np.float32)
    flat[::2, 0] = np.nextafter(np.float32(0.1), np.float32(1.0))
    for x in (flat, np.ascontiguousarray(flat[:, :, 0].transpose(0, 2, 1))):
        table = Table(x.copy(), np.arange(20) % 2, "classification", ("0", "1"))
        knobs = Data.model_validate({"source": "iris", "normalize": normalize})
        prepared = preparation.apply(preparation.fit(table, np.arange(20), knobs), table, np.arange(20)).x
        channel_axis = 1 if x.ndim == 4 else 2
        assert not np.take(prepared, 0, axis=channel_axis).any()
        assert np.take(prepared, 1, axis=channel_axis).any()


@pytest.mark.parametrize("offset", [0.0, 1e9, 1.7e15])
def test_target_far_from_0_keeps_its_distances(offset: float) -> None:
    distances = np.random.default_rng(0).integers(-1000, 1000, 40) * 64.0
    table = Table(np.zeros((40, 1)), offset + distances, "regression")
    knobs = Data.model_validate({"source": "diabetes"})
    found = preparation.fit(table, np.arange(30), knobs)
    y = preparation.apply(found, table, np.arange(40)).y
    expected = (distances - distances[:30].mean()) / distances[:30].std()
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_target_constant_in_training_keeps_its_variation_elsewhere() -> None:
    table = Table(np.zeros((4, 1)), np.array([5.0, 5.0, 5.0, 7.5]), "regression")
    found = preparation.fit(table, np.arange(3), Data.model_validate({"source": "diabetes"}))
    assert preparation.apply(found, table, np.arange(4)).y.tolist() == [0.0, 0.0, 0.0, 2.5]
    table = Table(np.zeros((4, 1)), np.array([1e18, 1e18 + 128, 1e18, 1e18 + 2e6]), "regression")
    y = preparation.apply(
        preparation.fit(table, np.arange(3), Data.model_validate({"source": "diabetes"})), table, np.arange(3)
    ).y
    assert np.abs(y).max() <= 1.0


def test_target_that_varies_by_rounding_is_refused() -> None:
    with pytest.raises(DataError, match="varies by 256 in all, no more than the rounding") as caught:
        encode_target(1.7e18 + 256.0 * (np.arange(30) % 2), "regression", str)
    assert caught.value.parameter == "data.target"


def test_a_column_beyond_float64_is_named() -> None:
    table = Table(
        np.array([[1.0, 1e308], [2.0, -1e308]]), np.arange(2), "classification", ("0", "1"), ("a", "b")
    )
    with pytest.raises(DataError, match=r"too large to be scaled \(column `b`\)"):
        preparation.fit(table, np.arange(2), Data.model_validate({"source": "iris"}))


@pytest.mark.parametrize(("normalize", "other"), [("none", 1e300), ("standard", 1e300), ("minmax", -1e300)])
def test_number_beyond_float32_is_reported_with_its_column(normalize: str, other: float) -> None:
    table = Table(
        np.array([[1.0, 0.5], [2.0, 1.5], [3.0, other]]),
        np.arange(3) % 2,
        "classification",
        ("0", "1"),
        ("a", "b"),
    )
    found = preparation.fit(
        table, np.arange(2), Data.model_validate({"source": "iris", "normalize": normalize})
    )
    with pytest.raises(DataError, match="column `b` has a number that is too large for float32"):
        preparation.apply(found, table, np.arange(3))


@given(st.integers(0, 2**32), st.sampled_from(SCALED), st.sampled_from([(0,), (0, 1), (0, 2, 3)]))
def test_ordinary_columns_have_numpys_mean_and_deviation(
    seed: int, normalize: Normalization, axes: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(0, 100), np.exp(rng.normal()), (7, 2, 3, 4)[: len(axes) + 1])
    center, scale, is_flat = center_and_scale(x, axes, normalize)
    assert not is_flat.any()
    if normalize == "standard":
        np.testing.assert_array_equal(center, x.mean(axis=axes))
        np.testing.assert_array_equal(scale, x.std(axis=axes))
    elif normalize == "minmax":
        np.testing.assert_array_equal(center, x.min(axis=axes))
        np.testing.assert_array_equal(scale, x.max(axis=axes) - x.min(axis=axes))
    else:
        quarters = np.quantile(x, [0.25, 0.5, 0.75], axis=axes)
        np.testing.assert_array_equal(center, quarters[1])
        np.testing.assert_array_equal(scale, quarters[2] - quarters[0])
