"""Isolation profiles: the best score that a model expects at each value of one parameter, with all others free.

An average over the other parameters would mix in points that nobody would train. The best one answers what a person
asks of a plot: where on this range is a good score possible? Values at which a trial would probably fail or violate a
constraint have no point in the profile.

For each branch of the space a pool of good points is searched once. The points of the profile are the pool's, with the
parameter moved to the value, and mutants of the best of them.

*Units*: losses are warped (see `outcome_transforms`), lower is better. Units of inactive parameters are kept, so that a
point can move to another branch.

Axes: M points, K values of a parameter, P points of a pool, S kernels, D parameters of the space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tunecli.config.axes import axis_ends, axis_position, is_log_axis
from tunecli.config.domains import (
    Categorical,
    Domain,
    n_values,
    unit_of_value,
    value_at,
    value_of_unit,
)
from tunecli.config.space import Space
from tunecli.search.bo.acquisition_optimizer import mutate
from tunecli.search.bo.encoding import Encoding, snap
from tunecli.search.draws import sobol_units
from tunecli.trial import Scalar

Floats = NDArray[np.float64]
Expected = Callable[[Floats], Floats]
"""Snapped units (M, D) → the mean loss under each kernel, (S, M); infinite where a trial is not feasible."""

_N_VALUES = 21
_N_GLOBAL = 256  # a power of two, for Sobol
_N_BEST_TRIALS = 16
_N_PARENTS = 6
_N_MUTANTS = 16  # of each parent
_RADII = (0.2, 0.07)
_N_IN_POOL = 16
_N_MUTANTS_OF_VALUE = 10
_VALUE_RADIUS = 0.1

Branch = tuple[tuple[int, tuple[int, ...]], ...]
"""Which values of which parameters are allowed: pairs of a parameter's index and the indices of values."""


@dataclass(frozen=True)
class Profile:
    """The best points at the values of one parameter that a feasible point was found for.

    Attributes:
        positions_K: of the values on the parameter's axis, ascending; of options their indices.
        units_KD: the snapped units of the best points by the mean over the kernels.
        least_SK: the least mean of each kernel at each value.
    """

    positions_K: Floats
    units_KD: Floats
    least_SK: Floats


@dataclass
class Profiler:
    """Computes profiles of one model, and keeps the pools of the branches.

    Attributes:
        space: the space of the trials.
        encoding: of the space.
        expected: the model.
        best_ND: the snapped units of the trials, the best first.
        generator: draws the candidates.
    """

    space: Space
    encoding: Encoding
    expected: Expected
    best_ND: Floats
    generator: np.random.Generator
    _pools: dict[Branch, Floats] = field(default_factory=dict)

    def profile(self, index: int) -> Profile:
        """Return the profile of the parameter with an index in the space."""
        domain = self.space.parameters[index].domain
        values = profile_values(domain)
        units_K = np.array([unit_of_value(domain, value) for value in values])
        own = self._conditions(index)
        is_parent = any(
            parent == index for dimension in self.encoding.dimensions for parent, _ in dimension.conditions
        )
        branches = [{**own, index: self._options(index, unit)} if is_parent else own for unit in units_K]
        best_KD, least_SK = self._best(index, units_K, [self._pool(branch) for branch in branches], branches)
        mutants = [
            np.vstack(
                [
                    best_KD[max(place - 1, 0) : place + 2],
                    mutate(
                        self.encoding, best_KD[[place]], _N_MUTANTS_OF_VALUE, _VALUE_RADIUS, self.generator
                    ),
                ]
            )
            for place in range(len(values))
        ]
        best_KD, refined_SK = self._best(index, units_K, mutants, branches)
        least_SK = np.minimum(least_SK, refined_SK)
        positions_K = np.array([axis_position(domain, value) for value in values], dtype=np.float64)
        is_possible_K = np.isfinite(least_SK).all(axis=0)
        snapped_KD = snap(self.encoding, best_KD)
        return Profile(positions_K[is_possible_K], snapped_KD[is_possible_K], least_SK[:, is_possible_K])

    def _best(
        self,
        index: int,
        units_K: Floats,
        candidates: Sequence[Floats],
        branches: Sequence[Mapping[int, NDArray[np.bool_]]],
    ) -> tuple[Floats, Floats]:
        """Return the best of the candidates of each value, moved to the value, (K, D), and the least means, (S, K)."""
        moved = []
        for unit, units_PD, branch in zip(units_K, candidates, branches, strict=True):
            moved_PD = self._in_branch(units_PD, branch)
            moved_PD[:, index] = unit
            moved.append(moved_PD)
        means_SM = self.expected(snap(self.encoding, np.vstack(moved)))
        ends = np.cumsum([len(units_PD) for units_PD in moved])
        best, least = [], []
        for units_PD, means_SP in zip(moved, np.split(means_SM, ends[:-1], axis=1), strict=True):
            best.append(units_PD[int(means_SP.mean(axis=0).argmin())])
            least.append(means_SP.min(axis=1))
        return np.array(best), np.array(least).T

    def _pool(self, branch: Mapping[int, NDArray[np.bool_]]) -> Floats:
        """Return about the best points of a branch, (P, D), not snapped."""
        key = tuple(
            sorted(
                (parent, tuple(np.flatnonzero(is_allowed_K).tolist()))
                for parent, is_allowed_K in branch.items()
            )
        )
        if key not in self._pools:
            trials_ND = self.best_ND[:_N_BEST_TRIALS]
            fresh_ND = self.generator.random(trials_ND.shape)
            units_MD = np.vstack(
                [
                    np.where(np.isnan(trials_ND), fresh_ND, trials_ND),
                    sobol_units(_N_GLOBAL, trials_ND.shape[1], self.generator),
                ]
            )
            units_MD = self._in_branch(units_MD, branch)
            means_SM = self.expected(snap(self.encoding, units_MD))
            for radius in _RADII:
                parents_PD = units_MD[np.argsort(means_SM.mean(axis=0), kind="stable")[:_N_PARENTS]]
                mutants_MD = mutate(self.encoding, parents_PD, _N_MUTANTS, radius, self.generator)
                mutants_MD = self._in_branch(mutants_MD, branch)
                means_SM = np.hstack([means_SM, self.expected(snap(self.encoding, mutants_MD))])
                units_MD = np.vstack([units_MD, mutants_MD])
            of_mixture = np.argsort(means_SM.mean(axis=0), kind="stable")[:_N_IN_POOL]
            chosen = dict.fromkeys([*of_mixture.tolist(), *means_SM.argmin(axis=1).tolist()])
            self._pools[key] = units_MD[list(chosen)]
        return self._pools[key]

    def _conditions(self, index: int) -> dict[int, NDArray[np.bool_]]:
        allowed: dict[int, NDArray[np.bool_]] = {}
        for parent, is_allowed_K in self.encoding.dimensions[index].conditions:
            allowed[parent] = allowed.get(parent, True) & is_allowed_K
        return allowed

    def _options(self, index: int, unit: float) -> NDArray[np.bool_]:
        """Return which of a parent's values has the unit."""
        units_K = self.encoding.dimensions[index].units_K
        assert units_K is not None, "conditions are on finite parameters"
        is_value_K: NDArray[np.bool_] = units_K == unit
        return is_value_K

    def _in_branch(self, units_MD: Floats, branch: Mapping[int, NDArray[np.bool_]]) -> Floats:
        """Return the points with parents moved to an allowed value, evenly over these, where they have another."""
        moved_MD = units_MD.copy()
        for parent, is_allowed_K in branch.items():
            dimension = self.encoding.dimensions[parent]
            assert dimension.units_K is not None and dimension.edges_J is not None
            allowed_units = dimension.units_K[is_allowed_K]
            is_other_M = ~is_allowed_K[np.searchsorted(dimension.edges_J, moved_MD[:, parent], side="right")]
            moved_MD[is_other_M, parent] = np.resize(allowed_units, int(is_other_M.sum()))
        return moved_MD


def profile_values(domain: Domain) -> list[Scalar]:
    """Return the values at which a parameter has a profile: all options, or up to 21 numbers over the axis."""
    count = n_values(domain)
    if count is not None and (isinstance(domain, Categorical) or count <= _N_VALUES):
        return [value_at(domain, position) for position in range(count)]
    low, high = axis_ends(domain)
    shares = np.linspace(0.0, 1.0, _N_VALUES)
    numbers = (
        np.exp(np.log(low) + shares * (np.log(high) - np.log(low)))
        if is_log_axis(domain)
        else low * (1 - shares) + high * shares
    )
    values = [value_of_unit(domain, unit_of_value(domain, number)) for number in numbers.tolist()]
    return list({axis_position(domain, value): value for value in values}.values())
