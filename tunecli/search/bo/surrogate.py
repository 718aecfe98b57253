"""What the trials so far say about the points not yet tried: every model that `bayes` can ask.

The Gaussian process is the one to take. The forests are scikit-optimize's: they bear thousands of parameters and steps
in the loss, and know no smoothness. Fitted afresh from nothing but their arguments (law 1). Knows rows and numbers;
neither spaces nor trials.

Axes: N observed points, P pending ones, M others, F columns of the encoding, S opinions of one model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from tunecli.search.bo import gaussian_process

Floats = NDArray[np.float64]

_N_KERNELS = 8
_ALL_KERNELS_UP_TO = (
    1_000  # trials times parameters; past it there are fewer, which cost more and differ less
)
_N_TREES = 64
_LEAST_DEVIATION = 1e-3  # of losses with deviation 1; a forest is sure of itself where all its trees agree


class Model(Protocol):
    """A fitted model of values over rows."""

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, which is above 0, at ``rows_MF``: (S, M), each opinion weighs the same."""

    def believing(self, rows_PF: Floats) -> Self:
        """The model had each of ``rows_PF`` been observed at its mean."""


Surrogate = Callable[[Floats, Floats, NDArray[np.intp], np.random.Generator], Model]
"""(rows of shape (N, F), values (N,), each column's parameter (F,), generator) → the model fitted to them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of model.

    Attributes:
        usual: as sure of what lies between the trials as hyper-parameters mostly allow.
        wary: less sure of it, where the kind knows a way to be.
    """

    usual: Surrogate
    wary: Surrogate


@dataclass(frozen=True)
class _Forest:
    trees: str
    rows: Floats
    values: Floats
    random_state: int
    regressor: Any

    def predict(self, rows_MF: Floats) -> tuple[Floats, Floats]:
        mean_M, deviation_M = self.regressor.predict(rows_MF, return_std=True)
        return mean_M[None], np.maximum(deviation_M, _LEAST_DEVIATION)[None]

    def believing(self, rows_PF: Floats) -> _Forest:
        if not len(rows_PF):
            return self
        values = np.concatenate([self.values, self.predict(rows_PF)[0][0]])
        return _grown(self.trees, np.vstack([self.rows, rows_PF]), values, self.random_state)


def _process(
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
    *,
    is_wary: bool = False,
) -> Model:
    n_parameters = int(groups_F.max()) + 1
    n_kernels = max(1, min(_N_KERNELS, _N_KERNELS * _ALL_KERNELS_UP_TO // (n_parameters * len(rows_NF))))
    return gaussian_process.fitted(rows_NF, values_N, groups_F, n_kernels, generator, is_wary=is_wary)


def _forest(
    trees: str,
    rows_NF: Floats,
    values_N: Floats,
    groups_F: NDArray[np.intp],
    generator: np.random.Generator,
) -> Model:
    return _grown(trees, rows_NF, values_N, int(generator.integers(2**32)))


def _grown(trees: str, rows_NF: Floats, values_N: Floats, random_state: int) -> _Forest:
    from skopt.learning import ExtraTreesRegressor, RandomForestRegressor

    make = ExtraTreesRegressor if trees == "extra_trees" else RandomForestRegressor
    regressor = make(n_estimators=_N_TREES, random_state=random_state, n_jobs=1)
    return _Forest(trees, rows_NF, values_N, random_state, regressor.fit(rows_NF, values_N))


_EXTRA_TREES, _RANDOM_FOREST = partial(_forest, "extra_trees"), partial(_forest, "random_forest")

SURROGATES: Mapping[str, Kind] = MappingProxyType(
    {
        "gp": Kind(_process, partial(_process, is_wary=True)),
        "extra_trees": Kind(_EXTRA_TREES, _EXTRA_TREES),
        "random_forest": Kind(_RANDOM_FOREST, _RANDOM_FOREST),
    }
)
"""Every kind by what ``search.sampler.surrogate`` calls it."""
