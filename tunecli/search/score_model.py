"""The model of the scores: the Gaussian process of `bayes` with all its kernels, and which points are feasible.

It is fitted to the trials as the sampler sees them: complete ones, and pruned and paused ones with their last score. Of
a long record that is a training subset. Failed trials have no score; they show where a trial probably fails.

Axes: N trials of the model, D parameters of the space, F columns of the encoding, M points, S kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tunecli.config.space import Parameter, Space
from tunecli.search.bo.acquisition_optimizer import IsFeasible, feasibility_of
from tunecli.search.bo.encoding import features, snap
from tunecli.search.bo.feasibility import LOG_HALF, LogProbability
from tunecli.search.bo.gaussian_process import GaussianProcess, fit_gp
from tunecli.search.bo.posterior import TrialData, fit_posterior, trial_data
from tunecli.seeding import generator_for
from tunecli.trial import Observation

Floats = NDArray[np.float64]

_N_KERNELS, _MIN_KERNELS = 8, 3
_MAX_SIZE_FOR_ALL_KERNELS = 4_000  # trials times parameters


@dataclass(frozen=True)
class ScoreModel:
    """The fitted model.

    Attributes:
        space: the space of the trials.
        data: the trials as arrays.
        process: of the warped losses.
        log_feasible: rows (M, F) → the log-probability that a trial neither fails nor violates a constraint, (M,).
        is_feasible: which points the file's conditions allow; None: all.
        seed, n_trials: name the random generators.
    """

    space: Space
    data: TrialData
    process: GaussianProcess
    log_feasible: LogProbability
    is_feasible: IsFeasible | None
    seed: int
    n_trials: int

    def generator(self, stream: str) -> np.random.Generator:
        """Return the random generator of a stream."""
        return generator_for(self.seed, self.n_trials, f"importance {stream}")

    def indices(self, parameters: Sequence[Parameter]) -> list[int]:
        """Return the indices of parameters in the space."""
        index_by_key = {parameter.key: index for index, parameter in enumerate(self.space.parameters)}
        return [index_by_key[parameter.key] for parameter in parameters]

    def n_active(self, parameters: Sequence[Parameter]) -> NDArray[np.intp]:
        """Return how many of the model's trials have each parameter."""
        is_active_ND = ~np.isnan(self.data.units_ND[:, self.indices(parameters)])
        n_active_D: NDArray[np.intp] = is_active_ND.sum(axis=0)
        return n_active_D

    def rows(self, units_MD: Floats) -> Floats:
        """Return the rows of snapped units, (M, F)."""
        return features(self.data.encoding, units_MD)

    def snapped_rows(self, units_MD: Floats) -> Floats:
        """Return the rows of any units, (M, F)."""
        return self.rows(snap(self.data.encoding, units_MD))

    def expected(self, process: GaussianProcess, units_MD: Floats) -> Floats:
        """Return the mean warped loss under each kernel of ``process`` at snapped units, (S, M).

        It is infinite where a trial is probably not feasible.
        """
        rows_MF = self.rows(units_MD)
        is_likely_M = self.log_feasible(rows_MF) > LOG_HALF
        if self.is_feasible is not None:
            is_likely_M &= self.is_feasible(units_MD)
        return np.where(is_likely_M, process.mean(rows_MF), np.inf)

    def losses(self, warped: Floats) -> Floats:
        """Return warped losses in the metric's unit."""
        return self.data.warping.losses(warped)

    def noise(self) -> float:
        """Return the deviation of one score around the model, in the metric's unit, among the better half of trials."""
        deviation = float(np.sqrt(np.square(self.process.noise_S).mean()))
        mean_N = np.sort(self.process.mean(self.data.rows_NF).mean(axis=0))
        better_N = mean_N[: (len(mean_N) + 1) // 2]
        low_N, high_N = self.losses(better_N - deviation), self.losses(better_N + deviation)
        return float(np.median(high_N / 2 - low_N / 2))


def fit_score_model(space: Space, history: Sequence[Observation], seed: int) -> ScoreModel | None:
    """Return the model; None if all losses are equal. Call it inside ``deterministic_blas``.

    Args:
        space: the space of the trials.
        history: every trial that has ended, by number, with one loss each; ``can_fit`` is true for it.
        seed: the study's seed.
    """
    data = trial_data(space, history)
    if not (np.isfinite(data.warping.values_N).all() and np.ptp(data.warping.values_N) > 0):
        return None

    def fit(
        rows_NF: Floats, values_N: Floats, groups_F: NDArray[np.intp], generator: np.random.Generator
    ) -> GaussianProcess:
        size = len(rows_NF) * (int(groups_F.max()) + 1)
        n_kernels = min(max(_N_KERNELS * _MAX_SIZE_FOR_ALL_KERNELS // size, _MIN_KERNELS), _N_KERNELS)
        return fit_gp(rows_NF, values_N, groups_F, n_kernels, generator)

    posterior = fit_posterior(data, fit, partial(generator_for, seed, len(history)))
    assert isinstance(posterior.surrogate, GaussianProcess)
    is_feasible = feasibility_of(space)
    return ScoreModel(
        space, data, posterior.surrogate, posterior.log_feasible, is_feasible, seed, len(history)
    )
