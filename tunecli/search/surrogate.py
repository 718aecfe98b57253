"""What the trials so far say about the points not yet tried: a Gaussian process over encoded rows.

scikit-optimize's `GaussianProcessRegressor` with a Matérn 5/2 kernel (Snoek, Larochelle, Adams (2012), "Practical
Bayesian Optimization of Machine Learning Algorithms"). Fitted afresh from nothing but its arguments (law 1).
Knows rows and numbers; neither spaces nor trials.

Axes: N observed points, P pending points, F columns of the encoding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tunecli.search.encoding import Floats

_MAX_LENGTH_SCALES = 24  # each costs N² per step of the fit: a second in all at N = 200
_OUTLIER_RANGES = 1.5  # Tukey's fence, in interquartile ranges above the upper quartile


def fitted(rows_NF: Floats, losses_N: Floats, pending_PF: Floats, random_state: int) -> Any:
    """A Gaussian process of the standardised losses.

    A length scale for each column is learnt where there are two observations for each; one for all columns
    where there are fewer: with that little data it finds better points than scales fitted to noise. Pending
    points enter with the loss the model expects of them, the kernel left as it is, so the next point lies
    elsewhere (the kriging believer of Ginsbourger, Le Riche, Carraro (2010), "Kriging is well-suited to
    parallelize optimization").

    Args:
        rows_NF: encoded points in [0, 1], F ≥ 1.
        losses_N: their losses, finite; lower is better.
        pending_PF: encoded points whose loss is not known yet; P may be 0.
        random_state: for the regressor, in [0, 2**32).

    Returns:
        A ``skopt.learning.GaussianProcessRegressor``; its predictions leave out the noise of observation.
    """
    from skopt.learning import GaussianProcessRegressor
    from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    n_observations, n_columns = rows_NF.shape
    settings = {"alpha": 1e-8, "noise": "gaussian", "random_state": random_state}
    if n_columns <= min(n_observations // 2, _MAX_LENGTH_SCALES):
        matern = Matern(length_scale=np.full(n_columns, 0.5), length_scale_bounds=(0.1, 10.0), nu=2.5)
    else:
        widening = float(np.sqrt(n_columns))  # distances in F columns grow with the root of F
        bounds = (0.1, 10.0 * widening)
        matern = Matern(length_scale=0.5 * widening, length_scale_bounds=bounds, nu=2.5)
    kernel = ConstantKernel(1.0, (0.05, 50.0)) * matern + WhiteKernel(1e-2, (1e-6, 1.0))
    standardised_N = standardised(losses_N)
    model = GaussianProcessRegressor(kernel, **settings).fit(rows_NF, standardised_N)
    if not len(pending_PF):
        return model
    kernel = model.kernel_.k1 + WhiteKernel(model.noise_, "fixed")  # the fit set the noise of kernel_ to 0
    believer = GaussianProcessRegressor(kernel, optimizer=None, **settings)
    believed_P = model.predict(pending_PF)
    return believer.fit(np.vstack([rows_NF, pending_PF]), np.concatenate([standardised_N, believed_P]))


def standardised(losses_N: Floats) -> Floats:
    """The losses with mean 0 and deviation 1, once the bad outliers are pulled in to Tukey's upper fence.

    A loss of 1e9 from a trial that nearly diverged says "bad here", not that all others are alike. Good
    outliers are what is searched for and stay. Losses that are all alike are 0.
    """
    fenced_N = losses_N / 8  # the fence is at most four times as far out as the losses: no overflow
    lower, upper = np.quantile(fenced_N, [0.25, 0.75])
    if upper > lower:
        fenced_N = np.minimum(fenced_N, upper + _OUTLIER_RANGES * (upper - lower))
    raised_N = fenced_N - fenced_N.min()
    span = raised_N.max()
    if span == 0:
        return np.zeros(len(losses_N))
    scaled_N: Floats = raised_N / span  # squares of losses near 1e300 would overflow
    centred_N: Floats = scaled_N - scaled_N.mean()
    return centred_N / float(scaled_N.std())
