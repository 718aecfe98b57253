"""Learn from earlier studies: a ranking-weighted sum of their models is the prior mean of the study's own surrogate.

Each earlier study has a Gaussian process of its own, which is fitted once. The weights are those of Feurer, Letham,
Hutter, Bakshy (2018), "Practical Transfer Learning for Bayesian Optimization" (RGPE): the probability that a model
misranks the fewest pairs of the study's own trials. The own model competes by its leave-one-out predictions. An earlier
model gets no weight if it ranks clearly worse than that, or hardly better than chance: the own model of few trials is
no better than chance itself, and unrelated studies would often win. Before there are enough trials to rank, the earlier
models share the whole weight.

In the paper the prediction is the weighted sum of all models. Here the weighted sum of the earlier models alone is a
prior mean, and the own surrogate is fitted to the remainder, as models are stacked in Golovin, Solnik, Moitra,
Kochanski, Karro, Sculley (2017), "Google Vizier: A Service for Black-Box Optimization". So the surrogate keeps its own
uncertainty, fits its own trials with any weights, and needs fewer of them the better the earlier studies
predict.

Axes: N own trials, K earlier studies, S samples, M other points, F columns of the encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Space
from tunecli.search.bo.earlier_studies import EarlierModel, chance_bound, earlier_models, misranked_pairs
from tunecli.search.bo.encoding import Encoding, Floats
from tunecli.search.bo.gaussian_process import fit_gp
from tunecli.search.bo.posterior import TrialData
from tunecli.search.bo.surrogate import FitSurrogate, Surrogate

_N_SAMPLES = 256
_MIN_RANKED = 3  # trials; fewer have too few pairs to compare models
_MAX_RANKED = 64  # trials, spread evenly by number; the pairs of more cost time and change little
_DILUTION_QUANTILE = 0.95
_MIN_SCALE = 0.1  # of the remainder, in deviations of the losses


@dataclass(frozen=True)
class InformedSurrogate:
    """A surrogate of the remainder that the earlier models do not explain, with their weighted sum as the mean.

    Attributes:
        own: the surrogate of the remainder, which is centred by ``shift`` and divided by ``scale``.
        models, weights_K: the earlier models with a positive weight.
        shift, scale: the mean and the deviation of the remainder.
    """

    own: Surrogate
    models: tuple[EarlierModel, ...]
    weights_K: Floats
    shift: float
    scale: float

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        mean_SM, deviation_SM = self.own.predict(rows_MF)
        return self._prior_mean(rows_MF) + self.scale * mean_SM, self.scale * deviation_SM

    def mean(self, rows_MF: Floats) -> Floats:
        mean_SM: Floats = self._prior_mean(rows_MF) + self.scale * self.own.mean(rows_MF)
        return mean_SM

    def fantasize(self, rows_PF: Floats) -> InformedSurrogate:
        return replace(self, own=self.own.fantasize(rows_PF))

    def _prior_mean(self, rows_MF: Floats) -> Floats:
        return self.shift + weighted_mean(self.models, self.weights_K, rows_MF)


def informed(fit: FitSurrogate, space: Space, encoding: Encoding) -> FitSurrogate:
    """Return ``fit`` with the earlier studies of ``space`` as its prior mean; ``fit`` itself without any.

    Call the result inside :func:`tunecli.search.bo.posterior.deterministic_blas`.
    """
    if not space.earlier:
        return fit

    def informed_fit(
        rows_NF: Floats, values_N: Floats, groups_F: NDArray[np.intp], generator: np.random.Generator
    ) -> Surrogate:
        models = earlier_models(space, encoding)
        weights_K = model_weights(models, rows_NF, values_N, groups_F, generator)
        models = [model for model, weight in zip(models, weights_K, strict=True) if weight > 0]
        weights_K = weights_K[weights_K > 0]
        if not models:
            return fit(rows_NF, values_N, groups_F, generator)
        rest_N = values_N - weighted_mean(models, weights_K, rows_NF)
        shift, scale = float(rest_N.mean()), max(float(rest_N.std()), _MIN_SCALE)
        own = fit(rows_NF, (rest_N - shift) / scale, groups_F, generator)
        return InformedSurrogate(own, tuple(models), weights_K, shift, scale)

    return informed_fit


def has_weight(space: Space, data: TrialData, generator: np.random.Generator) -> bool:
    """Return whether any earlier study has weight after these trials; call it as the result of :func:`informed`."""
    models = earlier_models(space, data.encoding)
    groups_F = data.encoding.groups_F
    return bool(model_weights(models, data.rows_NF, data.warping.values_N, groups_F, generator).any())


def model_weights(
    models: Sequence[EarlierModel],
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
) -> Floats:
    """Return the weight of each earlier model after these trials, (K,); the rest to 1 is that of the own model.

    Args:
        models: the earlier models.
        rows_NF, values_N: the study's own trials; the values are warped losses.
        groups_F: the parameter of each column.
        generator: samples predictions.
    """
    if len(values_N) < _MIN_RANKED or not models:
        return np.full(len(models), 1 / max(len(models), 1))
    own = fit_gp(rows_NF, values_N, groups_F, 1, generator, is_conservative=True)
    n_ranked = min(len(values_N), _MAX_RANKED)
    ranked = np.linspace(0, len(values_N) - 1, n_ranked).round().astype(np.intp)
    predictions = [model.predict(rows_NF[ranked]) for model in models]
    (own_mean_N,), (own_deviation_N,) = own.leave_one_out()
    predictions.append((own_mean_N[ranked], own_deviation_N[ranked]))
    means_KN, deviations_KN = (np.array(each) for each in zip(*predictions, strict=True))
    is_better_than_chance_K = misranked_pairs(means_KN[None, :-1], values_N[ranked])[0] <= chance_bound(
        n_ranked
    )
    if not is_better_than_chance_K.any():
        return np.zeros(len(models))
    is_compared_K = np.append(is_better_than_chance_K, True)
    normal_SKN = generator.standard_normal((_N_SAMPLES, *means_KN.shape))
    errors_SK = misranked_pairs(means_KN + deviations_KN * normal_SKN, values_N[ranked])
    weights_K = np.zeros(len(models))
    weights_K[is_better_than_chance_K] = ranking_weights(errors_SK[:, is_compared_K])
    return weights_K


def ranking_weights(errors_SK: NDArray[np.intp]) -> Floats:
    """Return the weights of all models but the last, the study's own one, (K - 1,).

    The weight is the share of samples in which a model misranks the fewest pairs (Feurer et al. 2018); tied models
    share a sample. A model whose median is above the own model's 95th percentile has no weight, so that many poor
    models do not dilute the good ones ("preventing weight dilution").

    Args:
        errors_SK: the number of misranked pairs of each model in each sample; the last model is the study's own one.
    """
    is_poor_K = np.median(errors_SK, axis=0) > np.quantile(errors_SK[:, -1], _DILUTION_QUANTILE)
    is_poor_K[-1] = False
    errors_SK = np.where(is_poor_K, np.iinfo(np.int64).max, errors_SK)
    is_best_SK = errors_SK == errors_SK.min(axis=1, keepdims=True)
    weights_K: Floats = (is_best_SK / is_best_SK.sum(axis=1, keepdims=True)).mean(axis=0)
    return weights_K[:-1]


def weighted_mean(models: Sequence[EarlierModel], weights_K: Floats, rows_MF: Floats) -> Floats:
    """Return the weighted sum of the models' means, (M,)."""
    total_M = np.zeros(len(rows_MF))
    for model, weight in zip(models, weights_K, strict=True):
        total_M += weight * model.mean(rows_MF)
    return total_M
