"""The transforms equal those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

from tunecli.train.data.transforms import fit_powers, fit_quantiles, to_normal, yeo_johnson

RNG = np.random.default_rng(3)
COLUMNS = {
    "lognormal": RNG.lognormal(0, 2, 1500),
    "counts with ties": RNG.poisson(1.5, 1500).astype(np.float64),
    "heavy tails": RNG.standard_t(2, 1500),
    "negative": -RNG.gamma(2.0, 3.0, 1500),
    "few values": RNG.choice([0.0, 0.0, 0.0, 7.5], 1500),
}
X_NF = np.stack([*COLUMNS.values()], axis=1)
TRAIN_NF, OTHER_NF = X_NF[:1100], np.concatenate([X_NF[1100:], 3 * X_NF[:50]])


@pytest.mark.parametrize("n_rows", [1100, 37])
def test_quantiles_equal_those_of_scikit_learn(n_rows: int) -> None:
    train_NF = TRAIN_NF[:n_rows]
    theirs = QuantileTransformer(n_quantiles=min(1000, n_rows), output_distribution="normal").fit(train_NF)
    ours_NF = to_normal(OTHER_NF, fit_quantiles(train_NF))
    np.testing.assert_allclose(ours_NF, theirs.transform(OTHER_NF), rtol=0, atol=1e-9)


def test_powers_equal_those_of_scikit_learn() -> None:
    theirs = PowerTransformer(standardize=False).fit(TRAIN_NF)
    powers_F = fit_powers(TRAIN_NF, np.zeros(X_NF.shape[1], dtype=bool))
    np.testing.assert_allclose(powers_F, theirs.lambdas_, rtol=1e-6)
    expected_NF = theirs.transform(OTHER_NF)
    theirs_too_NF = yeo_johnson(OTHER_NF, np.asarray(theirs.lambdas_))
    np.testing.assert_allclose(theirs_too_NF, expected_NF, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(yeo_johnson(OTHER_NF, powers_F), expected_NF, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("power", [0.0, 2.0])
def test_an_exponent_at_a_limit_gives_logarithms(power: float) -> None:
    x_NF = np.array([[-2.0], [0.0], [3.0]])
    changed_N = yeo_johnson(x_NF, np.array([power]))[:, 0]
    assert changed_N[2 if power == 0 else 0] == (np.log1p(3.0) if power == 0 else -np.log1p(2.0))
    assert changed_N[1] == 0


def test_a_large_table_is_sampled_in_the_same_way_each_time() -> None:
    x_NF = np.random.default_rng(0).exponential(size=(150_000, 1))
    quantiles_QF = fit_quantiles(x_NF)
    np.testing.assert_array_equal(quantiles_QF, fit_quantiles(x_NF))
    np.testing.assert_allclose(quantiles_QF[500, 0], np.log(2), rtol=0.05)
