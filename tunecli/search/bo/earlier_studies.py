"""Earlier studies as a new one sees them: a model of each record that is not noise, and its best points.

Each earlier study has a Gaussian process of its own, which is fitted once. A record whose held-out trials no model
ranks better than chance is noise: it has no model, and a long one has no part in the first trials either, since its
best point is a random one.

Axes: N trials, K models, S samples, M other points, X pairs of trials, F columns of the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Space
from tunecli.search.bo.encoding import Encoding, Floats, columns_of, encoding_of, features, units_of_points
from tunecli.search.bo.gaussian_process import GaussianProcess, fit_gp
from tunecli.search.bo.outcome_transforms import warped
from tunecli.trial import EarlierStudy, Parameters

N_FROM_EARLIER = 2
"""How many of the first trials are the best points of earlier studies."""
# Of a normal distribution: a tenth of it is farther below its mean, and a hundredth.
_CHANCE_DEVIATIONS, _RECORD_DEVIATIONS = 1.2816, 2.3263
_N_PARTS = 5  # in which an earlier study is predicted
_HALVES_FROM = 40  # trials; from there on it is predicted in two parts, and a hundredth of all noise passes
_MIN_JUDGED = 20  # trials; fewer that nothing predicts may still have a good best point


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


def n_from_earlier(space: Space) -> int:
    """Return how many of the first trials are points of earlier studies: 0 without a study that counts.

    Call it inside :func:`tunecli.search.bo.posterior.deterministic_blas`.
    """
    return N_FROM_EARLIER if _informative_studies(space) else 0


def best_earlier_points(space: Space) -> Iterator[Parameters]:
    """Yield the points of the earlier studies, the best of each study in turn, then the second best, and so on.

    The best point of a record that is noise is a random point. So a study of at least 20 trials without a model has no
    turn. Call it as :func:`n_from_earlier`.
    """
    in_order = (
        [study.points[index] for index in np.argsort(study.losses, kind="stable")]
        for study in _informative_studies(space)
    )
    return (point for point in chain.from_iterable(zip_longest(*in_order)) if point is not None)


def _informative_studies(space: Space) -> list[EarlierStudy]:
    models = _models_by_study(space, encoding_of(space))
    return [
        study
        for study, model in zip(space.earlier, models, strict=True)
        if model is not None or len(study.losses) < _MIN_JUDGED
    ]


def earlier_models(space: Space, encoding: Encoding) -> list[EarlierModel]:
    """Return the models of the earlier studies. They are a function of the space, and are fitted once for each space.

    A study has none if its points or losses are all equal, or if models of parts of its trials rank the others hardly
    better than chance: such a record is noise.
    """
    return [model for model in _models_by_study(space, encoding) if model is not None]


def _models_by_study(space: Space, encoding: Encoding) -> list[EarlierModel | None]:
    if "earlier models" not in space.memo:
        space.memo["earlier models"] = [_earlier_model(space, encoding, study) for study in space.earlier]
    known: list[EarlierModel | None] = space.memo["earlier models"]
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

    Of 72 records of 100 random trials of LCBench all are at least 7 deviations better than chance, and of 72 with
    shuffled losses one is 2.33 better. Of 30 trials, 90 % and 10 % are: there the bound is that of a tenth.

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
    n_deviations = _RECORD_DEVIATIONS if n_trials >= _HALVES_FROM else _CHANCE_DEVIATIONS
    return n_wrong <= chance_bound(n_trials, n_deviations)


def chance_bound(n_trials: int, n_deviations: float = _CHANCE_DEVIATIONS) -> float:
    """Return the number of misranked pairs of ``n_trials`` that most random orders exceed; by default nine of ten.

    By the normal approximation of Kendall (1938), "A New Measure of Rank Correlation".

    Args:
        n_trials: the number of trials.
        n_deviations: how many standard deviations the bound is below the mean.
    """
    n_pairs = n_trials * (n_trials - 1) / 2
    deviation = math.sqrt(n_trials * (n_trials - 1) * (2 * n_trials + 5) / 72)
    return n_pairs / 2 - n_deviations * deviation


def misranked_pairs(predicted_SKN: Floats, values_N: Floats) -> NDArray[np.intp]:
    """Return the number of pairs of trials whose order each prediction gets wrong, (S, K): Feurer et al. (2018)."""
    first, second = np.triu_indices(len(values_N), 1)
    is_below_SKX = predicted_SKN[..., first] < predicted_SKN[..., second]
    n_wrong: NDArray[np.intp] = (is_below_SKX != (values_N[first] < values_N[second])).sum(axis=-1)
    return n_wrong
