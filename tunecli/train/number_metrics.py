"""Metrics of a regression that are computed only if the file names them.

Each function takes a part's `Predicted` and the metric's settings, and returns a float64 scalar on the device of the
outputs, NaN where the metric is undefined. Tests compare each with scikit-learn or SciPy. Of several targets, a metric
is the mean of each one's.

Axes: N examples, K targets.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tunecli.train.ranks import mean_of

_LEAST_SIZE = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Predicted:
    """Predictions and targets of a part, float64, in the target's own units, with the weights of the examples."""

    guess_N: Tensor
    y_N: Tensor
    weight_N: Tensor | None = None

    @property
    def error_N(self) -> Tensor:
        """Target minus prediction."""
        return self.y_N - self.guess_N


def in_units(values: Tensor, scale: float | Tensor, center: float | Tensor) -> Tensor:
    """Standardised float32 values as float64 in the target's own units.

    A value within the rounding of float32 of 0 is 0: standardising rounds, and 0 decides whether a metric is defined.

    Args:
        values: (N,) of one target, or (N, K).
        scale, center: of the target; (K,) float64 of several.
    """
    if isinstance(scale, Tensor) and isinstance(center, Tensor):
        scale, center = scale.to(values.device), center.to(values.device)
    scaled = values.double() * scale
    own = scaled + center
    size = center.abs() if isinstance(center, Tensor) else abs(center)
    rounding = 2.0 * torch.finfo(values.dtype).eps * (scaled.abs() + size)
    return torch.where(own.abs() <= rounding, 0.0, own)


def mae(part: Predicted) -> Tensor:
    """Mean of |error| (`sklearn.metrics.mean_absolute_error`)."""
    return mean_of(part.error_N.abs(), part.weight_N)


def rmse(part: Predicted) -> Tensor:
    """Root of the mean squared error (`sklearn.metrics.root_mean_squared_error`)."""
    return mean_of(part.error_N.square(), part.weight_N).sqrt()


def r2(part: Predicted) -> Tensor:
    """Coefficient of determination (`sklearn.metrics.r2_score`); NaN for a constant target."""
    spread_N = (part.y_N - mean_of(part.y_N, part.weight_N)).square()
    return 1.0 - mean_of(part.error_N.square(), part.weight_N) / mean_of(spread_N, part.weight_N)


def median_absolute_error(part: Predicted) -> Tensor:
    """Median of |error|, the mean of the middle two if N is even (`sklearn.metrics.median_absolute_error`)."""
    if part.weight_N is not None:
        return _weighted_median(part.error_N.abs(), part.weight_N)
    sorted_N, n = part.error_N.abs().sort().values, len(part.y_N)
    return (sorted_N[(n - 1) // 2] + sorted_N[n // 2]) / 2.0


def _weighted_median(values_N: Tensor, weight_N: Tensor) -> Tensor:
    """The value with half the weight below it; the mean of two where exactly half is below (Hyndman & Fan 1996)."""
    is_counted_N = weight_N > 0
    sorted_N, order_N = values_N[is_counted_N].sort()
    sum_N = weight_N[is_counted_N][order_N].cumsum(0)
    half = sum_N[-1:] / 2.0
    index = torch.searchsorted(sum_N, half).clamp_max(len(sum_N) - 1)
    after = (index + 1).clamp_max(len(sum_N) - 1)
    is_between = sum_N[index] - half <= torch.finfo(torch.float64).eps
    return torch.where(is_between, (sorted_N[index] + sorted_N[after]) / 2.0, sorted_N[index])[0]


def max_error(part: Predicted) -> Tensor:
    """Largest |error|, without weights (`sklearn.metrics.max_error`)."""
    return part.error_N.abs().max()


def mape(part: Predicted) -> Tensor:
    """Mean of |error| / |target| (`sklearn.metrics.mean_absolute_percentage_error`); NaN if a target is 0."""
    value = mean_of(part.error_N.abs() / part.y_N.abs().clamp_min(_LEAST_SIZE), part.weight_N)
    return torch.where((part.y_N == 0).any(), torch.nan, value)


def msle(part: Predicted) -> Tensor:
    """Mean of (log(1 + y) − log(1 + prediction))² (`sklearn.metrics.mean_squared_log_error`).

    scikit-learn raises an error at predictions of -1 or less. Here a prediction below 0 counts as 0, because an early
    epoch must not fail a trial whose later ones are fine. NaN if a target is below 0.
    """
    error_N = part.y_N.log1p() - part.guess_N.clamp_min(0.0).log1p()
    value = mean_of(error_N.square(), part.weight_N)
    return torch.where((part.y_N < 0).any(), torch.nan, value)


def rmsle(part: Predicted) -> Tensor:
    """Root of `msle` (`sklearn.metrics.root_mean_squared_log_error`)."""
    return msle(part).sqrt()


def pinball(part: Predicted, alpha: float = 0.5) -> Tensor:
    """Mean of max(α e, (α − 1) e) (Koenker & Bassett 1978; `sklearn.metrics.mean_pinball_loss`)."""
    error_N = part.error_N
    return mean_of(torch.maximum(alpha * error_N, (alpha - 1.0) * error_N), part.weight_N)


def spearman(part: Predicted) -> Tensor:
    """Correlation of the ranks, without weights, ties at their mean rank (Spearman 1904; `scipy.stats.spearmanr`).

    0 if all predictions are equal, where the correlation is undefined: such a model orders nothing. NaN if all targets
    are.
    """
    guess_N, y_N = (_centred_ranks(values_N) for values_N in (part.guess_N, part.y_N))
    spread_guess, spread_y = guess_N.square().sum(), y_N.square().sum()
    value = torch.where(spread_guess > 0, guess_N @ y_N / (spread_guess * spread_y).sqrt(), 0.0)
    return torch.where(spread_y > 0, value, torch.nan)


def _centred_ranks(values_N: Tensor) -> Tensor:
    sorted_N = values_N.sort().values
    below_N = torch.searchsorted(sorted_N, values_N)
    not_above_N = torch.searchsorted(sorted_N, values_N, right=True)
    return (below_N + not_above_N + 1 - (len(values_N) + 1)).double() / 2.0
