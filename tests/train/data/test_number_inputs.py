"""Numbers are imputed, marked, transformed and scaled by training rows, and every array keeps its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.impute import MissingIndicator
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from tunecli.config.schema.data import Data
from tunecli.train.data.number_inputs import apply_numbers, fit_numbers

RNG = np.random.default_rng(5)
TRAIN, OTHER = np.arange(60), np.arange(60, 90)


def knobs(**others: Any) -> Data:
    return Data.model_validate({"source": "iris", **others})


@pytest.mark.parametrize("normalize", ["quantile", "power"])
@pytest.mark.parametrize(("kind", "shape"), [("features", (3,)), ("sequence", (5, 3)), ("image", (3, 4, 2))])
def test_a_transform_acts_on_each_feature_or_channel(
    normalize: str, kind: Any, shape: tuple[int, ...]
) -> None:
    x = RNG.lognormal(0, 1, (90, *shape))
    (ours,) = apply_numbers(fit_numbers(x[TRAIN], kind, knobs(normalize=normalize), ()), x[OTHER], kind, ())

    def columns(values: np.ndarray) -> np.ndarray:
        return np.stack([values.take(c, 1 if kind == "image" else -1).ravel() for c in range(3)], axis=1)

    train, other = columns(x[TRAIN]), columns(x[OTHER])
    if normalize == "power":
        theirs = PowerTransformer().fit(train)
    else:
        theirs = QuantileTransformer(n_quantiles=min(1000, len(train)), output_distribution="normal").fit(
            train
        )
    np.testing.assert_allclose(columns(ours), theirs.transform(other), rtol=1e-5, atol=1e-6)
    assert ours.shape == x[OTHER].shape


def test_indicators_are_those_of_scikit_learn_and_only_of_columns_with_gaps_in_training() -> None:
    x = RNG.normal(size=(90, 4))
    x[RNG.random(x.shape) < 0.3] = np.nan
    x[TRAIN, 1] = 2.0 + np.arange(60)  # its gaps are in other rows only
    x[OTHER[0], 1] = np.nan
    numbers = fit_numbers(x[TRAIN], "features", knobs(missing_indicators=True), ())
    values, indicators = apply_numbers(numbers, x[OTHER], "features", ())
    theirs = MissingIndicator(error_on_new=False).fit(x[TRAIN])
    np.testing.assert_array_equal(indicators, theirs.transform(x[OTHER]).astype(np.float32))
    assert indicators.shape == (30, 3)
    (alone,) = apply_numbers(fit_numbers(x[TRAIN], "features", knobs(), ()), x[OTHER], "features", ())
    np.testing.assert_array_equal(values, alone)


@pytest.mark.parametrize("normalize", ["quantile", "power"])
def test_a_column_that_never_varies_in_training_is_0(normalize: str) -> None:
    x = RNG.normal(size=(90, 2))
    x[TRAIN, 0] = 7.0
    x[OTHER, 0] = 9.0
    (values,) = apply_numbers(
        fit_numbers(x[TRAIN], "features", knobs(normalize=normalize), ()), x[OTHER], "features", ()
    )
    assert (values[:, 0] == 0).all()
