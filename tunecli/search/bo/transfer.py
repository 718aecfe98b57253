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

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Space
from tunecli.search.bo.encoding import Encoding, Floats, columns_of, features, units_of_points
from tunecli.search.bo.gaussian_process import GaussianProcess, fit_gp
from tunecli.search.bo.outcome_transforms import warped
from tunecli.search.bo.posterior import TrialData
from tunecli.search.bo.surrogate import FitSurrogate, Surrogate
from tunecli.trial import EarlierStudy, Parameters

N_FROM_EARLIER = 2
"""How many of the first trials are the best points of earlier studies."""
_N_SAMPLES = 256
_MIN_RANKED = 3  # trials; fewer have too few pairs to compare models
_MAX_RANKED = 64  # trials, spread evenly by number; the pairs of more cost time and change little
_DILUTION_QUANTILE = 0.95
_CHANCE_DEVIATIONS = 1.2816  # of a normal distribution: a tenth of it is farther below its mean
_N_PARTS = 5  # in which an earlier study is predicted
_HALVES_FROM = 40  # trials; from there on it is predicted in two parts
_MIN_SCALE = 0.1  # of the remainder, in deviations of the losses


@dataclass(frozen=True)
class EarlierModel:
    """The Gaussian process of one earlier study, over the columns of the parameters that it knows.

    Attributes:
        process: under its most likely kernel, of the warped losses.
        columns: the indices of these columns.
    """

    process: GaussianProcess
    columns: NDArray[np.intp]

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the deviation at ``rows_MF``, each (M,)."""
        (mean_M,), (deviation_M,) = self.process.predict(rows_MF[:, self.columns])
        return mean_M, deviation_M

    def mean(self, rows_MF: Floats) -> Floats:
        """Return the mean alone, (M,)."""
        mean_M: Floats = self.process.mean(rows_MF[:, self.columns])[0]
        return mean_M


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


def best_earlier_points(space: Space) -> Iterator[Parameters]:
    """Yield the points of the earlier studies, the best of each study in turn, then the second best, and so on."""
    in_order = (
        [study.points[index] for index in np.argsort(study.losses, kind="stable")] for study in space.earlier
    )
    return (point for point in chain.from_iterable(zip_longest(*in_order)) if point is not None)


def earlier_models(space: Space, encoding: Encoding) -> list[EarlierModel]:
    """Return the models of the earlier studies. They are a function of the space, and are fitted once for each space.

    A study has none if its points or losses are all equal, or if models of parts of its trials rank the others hardly
    better than chance: such a record is noise.
    """
    if "earlier models" not in space.memo:
        models = (_earlier_model(space, encoding, study) for study in space.earlier)
        space.memo["earlier models"] = [model for model in models if model is not None]
    known: list[EarlierModel] = space.memo["earlier models"]
    return known


def _earlier_model(space: Space, encoding: Encoding, study: EarlierStudy) -> EarlierModel | None:
    columns_by_index, every_F = columns_of(encoding), np.arange(len(encoding.groups_F))
    known = [index for index in columns_by_index if space.parameters[index].name not in study.unknown]
    columns = np.concatenate([every_F[:0], *(every_F[columns_by_index[index]] for index in known)])
    rows_NF = features(encoding, units_of_points(space, study.points))[:, columns]
    losses_N = np.array(study.losses, dtype=np.float64)
    if len({*study.losses}) < 2 or not rows_NF.size or (rows_NF == rows_NF[0]).all():
        return None
    groups_F = np.unique(encoding.groups_F[columns], return_inverse=True)[1]
    generator = np.random.default_rng(0)  # one kernel draws nothing
    if not _is_predictable(rows_NF, losses_N, groups_F):
        return None
    process = fit_gp(rows_NF, warped(losses_N), groups_F, 1, generator, is_conservative=True)
    return EarlierModel(process, columns)


def _is_predictable(rows_NF: Floats, losses_N: Floats, groups_F: NDArray[np.intp]) -> bool:
    """Return whether models of the other trials rank the trials of each part better than chance.

    Leaving one out of a single fit does not tell: its kernel was chosen with all losses, and finds structure in noise.
    With 100 shuffled losses and seven parameters, such predictions correlate with the losses by 0.1 to 0.5.
    """
    n_trials = len(losses_N)
    n_parts = 2 if n_trials >= _HALVES_FROM else min(_N_PARTS, n_trials)
    part_N = np.arange(n_trials) % n_parts
    predicted_N = np.zeros(n_trials)
    for part in range(n_parts):
        is_known_N = part_N != part
        known_N = warped(losses_N[is_known_N])
        generator = np.random.default_rng(0)  # one kernel draws nothing
        process = fit_gp(rows_NF[is_known_N], known_N, groups_F, 1, generator, is_conservative=True)
        predicted_N[~is_known_N] = process.mean(rows_NF[~is_known_N])[0]
    n_wrong = int(misranked_pairs(predicted_N[None, None], losses_N)[0, 0])
    return n_wrong <= chance_bound(n_trials)


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
    own_mean_N, own_deviation_N = _leave_one_out(own)
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


def chance_bound(n_trials: int) -> float:
    """Return the number of misranked pairs of ``n_trials`` that nine of ten random orders exceed.

    By the normal approximation of Kendall (1938), "A New Measure of Rank Correlation".
    """
    n_pairs = n_trials * (n_trials - 1) / 2
    deviation = math.sqrt(n_trials * (n_trials - 1) * (2 * n_trials + 5) / 72)
    return n_pairs / 2 - _CHANCE_DEVIATIONS * deviation


def misranked_pairs(predicted_SKN: Floats, values_N: Floats) -> NDArray[np.intp]:
    """Return the number of pairs of trials whose order each prediction gets wrong, (S, K): Feurer et al. (2018)."""
    first, second = np.triu_indices(len(values_N), 1)
    is_below_SKX = predicted_SKN[..., first] < predicted_SKN[..., second]
    n_wrong: NDArray[np.intp] = (is_below_SKX != (values_N[first] < values_N[second])).sum(axis=-1)
    return n_wrong


def weighted_mean(models: Sequence[EarlierModel], weights_K: Floats, rows_MF: Floats) -> Floats:
    """Return the weighted sum of the models' means, (M,)."""
    total_M = np.zeros(len(rows_MF))
    for model, weight in zip(models, weights_K, strict=True):
        total_M += weight * model.mean(rows_MF)
    return total_M


def _leave_one_out(process: GaussianProcess) -> tuple[Floats, Floats]:
    """Return the mean and deviation of each observation by all others under the most likely kernel, (N,) each.

    Rasmussen, Williams (2006), equation 5.12; the deviation includes the noise.
    """
    precision_N = np.square(process.inverse_cholesky_SNN[0]).sum(axis=0)
    mean_N = process.values_SN[0] - process.alpha_SN[0] / precision_N
    return mean_N, np.array([1 / math.sqrt(precision) for precision in precision_N])
