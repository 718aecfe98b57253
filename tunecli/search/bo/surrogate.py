"""The surrogate models of `bayes`: a Gaussian process, and scikit-optimize's forests.

The Gaussian process is the default. Forests scale to thousands of parameters and fit steps in the loss, but do not
assume smoothness. Every model is fitted from its arguments alone. This module knows rows and numbers; neither spaces
nor trials.

Axes: N observed points, P pending points, M candidates, F columns of the encoding, S members of one model (the kernels
of a Gaussian process; 1 for a forest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo import gaussian_process

Floats = NDArray[np.float64]

_N_KERNELS = 8
# Trials times parameters. Above it a process has fewer kernels: they cost more, and differ less.
_MAX_SIZE_FOR_ALL_KERNELS = 1_000
_N_TREES = 64
_MIN_DEVIATION = 1e-3  # of losses with deviation 1: where all trees agree, a forest predicts 0


class Surrogate(Protocol):
    """A fitted model of values over rows."""

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the standard deviation (> 0) at ``rows_MF``, each (S, M). Members weigh the same."""

    def mean(self, rows_MF: Floats) -> Floats:
        """Return the mean of :meth:`predict` alone, (S, M)."""

    def fantasize(self, rows_PF: Floats) -> Surrogate:
        """Return the model conditioned on its own mean at ``rows_PF`` (kriging believer)."""


FitSurrogate = Callable[[Floats, Floats, NDArray[np.intp], np.random.Generator], Surrogate]
"""(rows (N, F), values (N,) with mean 0 and deviation 1, each column's parameter (F,), generator) → fitted model."""


@dataclass(frozen=True, slots=True)
class SurrogateKind:
    """How one kind of surrogate is fitted.

    Attributes:
        default: for predictions.
        conservative: for suggestions and learning curves; less certain between the trials. It is ``default`` for kinds
            without such a variant. With the default Gaussian process a few sweeps stay in the corner that their first
            trials pointed to.
    """

    default: FitSurrogate
    conservative: FitSurrogate


@dataclass(frozen=True)
class _Forest:
    """Breiman (2001), "Random Forests", or Geurts, Ernst, Wehenkel (2006), "Extremely Randomized Trees".

    The deviation is that of the mixture of all trees: Hutter, Xu, Hoos, Leyton-Brown (2014), "Algorithm Runtime
    Prediction: Methods & Evaluation", section 4.3.2.
    """

    trees: str
    rows_NF: Floats
    values_N: Floats
    random_state: int
    regressor: Any

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        mean_M, deviation_M = self.regressor.predict(rows_MF, return_std=True)
        return mean_M[None], np.maximum(deviation_M, _MIN_DEVIATION)[None]

    def mean(self, rows_MF: Floats) -> Floats:
        return self.predict(rows_MF)[0]

    def fantasize(self, rows_PF: Floats) -> _Forest:
        if not len(rows_PF):
            return self
        values = np.concatenate([self.values_N, self.predict(rows_PF)[0][0]])
        return _grow(self.trees, np.vstack([self.rows_NF, rows_PF]), values, self.random_state)


def _fit_gp(
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
    *,
    is_conservative: bool = False,
) -> Surrogate:
    n_parameters = int(groups_F.max()) + 1
    size = n_parameters * len(rows_NF)
    n_kernels = max(1, min(_N_KERNELS, _N_KERNELS * _MAX_SIZE_FOR_ALL_KERNELS // size))
    return gaussian_process.fit_gp(
        rows_NF, values_N, groups_F, n_kernels, generator, is_conservative=is_conservative
    )


def _fit_forest(
    trees: str,
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
) -> Surrogate:
    return _grow(trees, rows_NF, values_N, int(generator.integers(2**32)))


def _grow(trees: str, rows_NF: Floats, values_N: Floats, random_state: int) -> _Forest:
    from skopt.learning import ExtraTreesRegressor, RandomForestRegressor

    make = ExtraTreesRegressor if trees == "extra_trees" else RandomForestRegressor
    regressor = make(n_estimators=_N_TREES, random_state=random_state, n_jobs=1)
    return _Forest(trees, rows_NF, values_N, random_state, regressor.fit(rows_NF, values_N))


_EXTRA_TREES, _RANDOM_FOREST = partial(_fit_forest, "extra_trees"), partial(_fit_forest, "random_forest")

SURROGATES: Mapping[str, SurrogateKind] = MappingProxyType(
    {
        "gp": SurrogateKind(_fit_gp, partial(_fit_gp, is_conservative=True)),
        "extra_trees": SurrogateKind(_EXTRA_TREES, _EXTRA_TREES),
        "random_forest": SurrogateKind(_RANDOM_FOREST, _RANDOM_FOREST),
    }
)
"""The kinds of surrogate by their names in ``search.sampler.surrogate``."""
