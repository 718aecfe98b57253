"""Isolation profiles: the best score that a model expects at each value of one parameter, with all others free.

A profile takes the best values of the other parameters. An average over them would include points with poor values. So
a profile shows where in the range of the parameter a good score is possible. It has no point at a value at which a
trial would probably fail or violate a constraint.

For each branch of the space a pool of good points is searched once, with the most likely kernel alone. The points of a
profile start from the pool, with the parameter moved to the value, and are improved by mutants and by the points of the
values next to it. All kernels judge the last candidates.

*Units*: losses are warped (see `outcome_transforms`), lower is better. Units of inactive parameters are kept, so that a
point can move to another branch.

Axes: M points, K values of a parameter, P candidates of one value, S kernels, D parameters of the space.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tunecli.config.axes import axis_ends, axis_position, is_log_axis
from tunecli.config.domains import Categorical, Domain, n_values, unit_of_value, value_at, value_of_unit
from tunecli.config.space import Space
from tunecli.search.bo.acquisition_optimizer import mutate
from tunecli.search.bo.encoding import Encoding, snap
from tunecli.search.draws import sobol_units
from tunecli.trial import Scalar

Floats = NDArray[np.float64]
Expected = Callable[[Floats], Floats]
"""Snapped units (M, D) → the mean loss under each of some kernels; infinite where a trial is not feasible."""

_N_VALUES = 21
_N_GLOBAL = 512  # a power of two, for Sobol
_N_BEST_TRIALS = 16
_N_PARENTS = 8
_N_MUTANTS = 24  # of each parent
_RADII = (0.2, 0.1, 0.05, 0.02)
_N_IN_POOL = 16
_VALUE_RADII = (0.15, 0.05, 0.02)
_N_MUTANTS_OF_VALUE = 10
_LAST_RADIUS, _N_LAST = 0.05, 6

Allowed = Mapping[int, NDArray[np.bool_]]
"""A branch of the space: which values of a parent, by its index, are allowed."""


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
        likely: the model with its most likely kernel alone, (1, M).
        expected: the model with all kernels, (S, M).
        best_ND: the snapped units of the trials, the best first.
        generator: draws the candidates.
    """

    space: Space
    encoding: Encoding
    likely: Expected
    expected: Expected
    best_ND: Floats
    generator: np.random.Generator
    _pools: dict[tuple[tuple[int, bytes], ...], Floats] = field(default_factory=dict)

    def profile(self, index: int) -> Profile:
        """Return the profile of the parameter with an index in the space."""
        domain = self.space.parameters[index].domain
        values = profile_values(domain)
        units_K = np.array([unit_of_value(domain, value) for value in values])
        branches = self._branches(index, units_K)
        pools = [self._pool(branch) for branch in branches]
        best_KD, _ = self._best(self.likely, index, units_K, pools, branches)
        for radius in _VALUE_RADII:
            candidates = self._around(best_KD, radius, _N_MUTANTS_OF_VALUE)
            best_KD, _ = self._best(self.likely, index, units_K, candidates, branches)
        candidates = self._around(best_KD, _LAST_RADIUS, _N_LAST)
        best_KD, least_SK = self._best(self.expected, index, units_K, candidates, branches)
        positions_K = np.array([axis_position(domain, value) for value in values], dtype=np.float64)
        is_possible_K = np.isfinite(least_SK).all(axis=0)
        snapped_KD = snap(self.encoding, best_KD)
        return Profile(positions_K[is_possible_K], snapped_KD[is_possible_K], least_SK[:, is_possible_K])

    def _best(
        self,
        model: Expected,
        index: int,
        units_K: Floats,
        candidates: Sequence[Floats],
        branches: Sequence[Allowed],
    ) -> tuple[Floats, Floats]:
        """Return the best of the candidates of each value, moved to the value, (K, D), and the least means, (S, K)."""
        moved = []
        for unit, units_PD, branch in zip(units_K, candidates, branches, strict=True):
            moved_PD = self._in_branch(units_PD, branch)
            moved_PD[:, index] = unit
            moved.append(moved_PD)
        means_SM = model(snap(self.encoding, np.vstack(moved)))
        ends = np.cumsum([len(units_PD) for units_PD in moved])
        best, least = [], []
        for units_PD, means_SP in zip(moved, np.split(means_SM, ends[:-1], axis=1), strict=True):
            best.append(units_PD[int(means_SP.mean(axis=0).argmin())])
            least.append(means_SP.min(axis=1))
        return np.array(best), np.array(least).T

    def _around(self, best_KD: Floats, radius: float, n_mutants: int) -> list[Floats]:
        """Return candidates of each value: its best point, those of the values next to it, and mutants."""
        mutants = np.split(mutate(self.encoding, best_KD, n_mutants, radius, self.generator), len(best_KD))
        return [
            np.vstack([best_KD[max(place - 1, 0) : place + 2], mutants_PD])
            for place, mutants_PD in enumerate(mutants)
        ]

    def _pool(self, branch: Allowed) -> Floats:
        """Return about the best points of a branch, (P, D), not snapped."""
        key = tuple(sorted((parent, is_allowed_K.tobytes()) for parent, is_allowed_K in branch.items()))
        if key not in self._pools:
            trials_ND = self.best_ND[:_N_BEST_TRIALS]
            fresh_ND = self.generator.random(trials_ND.shape)
            trials_ND = np.where(np.isnan(trials_ND), fresh_ND, trials_ND)
            global_MD = sobol_units(_N_GLOBAL, trials_ND.shape[1], self.generator)
            units_MD = self._in_branch(np.vstack([trials_ND, global_MD]), branch)
            means_M = self.likely(snap(self.encoding, units_MD))[0]
            for radius in _RADII:
                parents_PD = units_MD[np.argsort(means_M, kind="stable")[:_N_PARENTS]]
                mutants_MD = mutate(self.encoding, parents_PD, _N_MUTANTS, radius, self.generator)
                mutants_MD = self._in_branch(mutants_MD, branch)
                means_M = np.append(means_M, self.likely(snap(self.encoding, mutants_MD))[0])
                units_MD = np.vstack([units_MD, mutants_MD])
            self._pools[key] = units_MD[np.argsort(means_M, kind="stable")[:_N_IN_POOL]]
        return self._pools[key]

    def _branches(self, index: int, units_K: Floats) -> list[Allowed]:
        """Return the branch of each value: where the parameter is active, and has the value if others depend on it."""
        dimensions = self.encoding.dimensions
        active: dict[int, NDArray[np.bool_]] = {}
        for parent, is_allowed_K in dimensions[index].conditions:
            active[parent] = active.get(parent, True) & is_allowed_K
        own_units_K = dimensions[index].units_K
        if own_units_K is None or all(
            parent != index for each in dimensions for parent, _ in each.conditions
        ):
            return [active] * len(units_K)
        return [{**active, index: own_units_K == unit} for unit in units_K]

    def _in_branch(self, units_MD: Floats, branch: Allowed) -> Floats:
        """Return the points with parents moved to an allowed value, evenly over these, where they have another."""
        moved_MD = units_MD.copy()
        for parent, is_allowed_K in branch.items():
            dimension = self.encoding.dimensions[parent]
            assert dimension.units_K is not None and dimension.edges_J is not None, "parents are finite"
            is_other_M = ~is_allowed_K[np.searchsorted(dimension.edges_J, moved_MD[:, parent], side="right")]
            moved_MD[is_other_M, parent] = np.resize(dimension.units_K[is_allowed_K], int(is_other_M.sum()))
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
