"""Splits that keep the rows of a group together: sizes near the wanted ones, and about equal shares of each stratum.

The first pass is the greedy one of scikit-learn's ``StratifiedGroupKFold``: groups in descending order of their spread
over the strata, each to the part that it fits best. Then single groups move, and pairs are swapped, as long as that
brings the parts nearer to the wanted shares.

Axes: N rows of the table, G groups, K strata, D = K + 1 shares of a part (of each stratum, and of all rows), P parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.text import counted
from tunecli.train.data.splits.parts import Cut, Indices, cut

Floats = NDArray[np.float64]

_SIZE_WEIGHT = 1.0  # of a part's size, against 1 for the mean over the strata
_MAX_GREEDY = 20_000  # further groups are dealt out in turn: their numbers average out
_MAX_SWAPPED = 400  # groups: a step compares all pairs
_MAX_STEPS = 300
_MAX_CELLS = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The groups of the rows that are split.

    Attributes:
        codes: (N,) the group of each row of the table, as a number; -1 for rows that are not split.
        counts: (G, K) the number of rows of each group in each stratum.
    """

    codes: Indices
    counts: Indices

    def rows_of(self, is_taken_G: NDArray[np.bool_]) -> Indices:
        """The rows of some groups, ascending."""
        is_taken_N = (self.codes >= 0) & is_taken_G[self.codes]
        return np.flatnonzero(is_taken_N)


def groups_of(rows: Indices, group_N: NDArray[np.object_], strata_N: Indices) -> Groups:
    """The groups of ``rows``, numbered in the order of their first row."""
    code_of: dict[object, int] = {}
    codes = [code_of.setdefault(group, len(code_of)) for group in group_N[rows].tolist()]
    code_N = np.full(len(group_N), -1, dtype=np.int64)
    code_N[rows] = codes
    n_strata = int(strata_N.max()) + 1
    strata = strata_N[rows]
    if len(code_of) * n_strata > _MAX_CELLS:
        n_strata, strata = 1, np.zeros_like(strata)
    flat = np.bincount(code_N[rows] * n_strata + strata, minlength=len(code_of) * n_strata)
    counts_GK = flat.reshape(len(code_of), n_strata)
    return Groups(code_N, counts_GK[:, counts_GK.any(axis=0)])


def fraction_of(groups: Groups, fraction: float, generator: np.random.Generator, parameter: str) -> Cut:
    """Cut whole groups with about a fraction of the rows; a stratum that one group holds alone stays for training.

    Raises:
        DataError: there is one group, or no group can be cut.
    """
    counts_GK = groups.counts
    is_sole_G = _is_sole(counts_GK)
    if len(counts_GK) < 2 or is_sole_G.all():
        message = f"{counted(len(counts_GK), 'group')} cannot be split into two parts"
        if len(counts_GK) > 1:
            message = "each group is the only one with some class, so none can leave the training part"
        hint = "use smaller groups, or split by `row`" if len(counts_GK) < 2 else "merge classes or groups"
        raise DataError(message, hint=hint, parameter=parameter)
    part_G = assigned(counts_GK, np.array([fraction, 1 - fraction]), generator, is_sole_G, n_guarded=1)
    return cut(groups.rows_of(part_G == 0))


def folds_of(groups: Groups, n_folds: int, generator: np.random.Generator, parameter: str) -> list[Cut]:
    """Cut whole groups for each fold; each group is in the validation part of one fold.

    Raises:
        DataError: there are fewer groups than folds.
    """
    n_groups = len(groups.counts)
    if n_groups < n_folds:
        message = f"{n_folds} folds are more than the {counted(n_groups, 'group')} in the data"
        raise DataError(message, hint="use fewer folds", parameter=parameter)
    shares_P = np.full(n_folds, 1 / n_folds)
    free_G = np.zeros(n_groups, dtype=bool)
    part_G = assigned(groups.counts, shares_P, generator, free_G, n_guarded=n_folds)
    return [cut(groups.rows_of(part_G == fold)) for fold in range(n_folds)]


def assigned(
    counts_GK: Indices,
    shares_P: Floats,
    generator: np.random.Generator,
    is_last_G: NDArray[np.bool_],
    n_guarded: int,
) -> Indices:
    """The part (G,) of each group. No part is empty.

    Args:
        counts_GK: the number of rows of each group in each stratum; each stratum has a row.
        shares_P: the wanted share of the rows of each part; the sum is 1.
        generator: orders groups that are alike.
        is_last_G: groups that must be in the last part.
        n_guarded: the first parts that must not hold all groups of a stratum, if it has two.
    """
    fit = _Fit(counts_GK, shares_P, is_last_G)
    order = generator.permutation(len(counts_GK))
    spread_G = counts_GK.std(axis=1) if counts_GK.shape[1] > 1 else counts_GK[:, 0].astype(np.float64)
    order = order[np.argsort(-spread_G[order], kind="stable")]
    n_dealt = max(0, len(order) - _MAX_GREEDY)
    dealt = order[_MAX_GREEDY // 2 : _MAX_GREEDY // 2 + n_dealt]
    if n_dealt:
        main_G = counts_GK.argmax(axis=1)
        dealt = dealt[np.argsort(main_G[dealt], kind="stable")]
        fit.put_all(dealt, _turns(shares_P, n_dealt))
    is_dealt_G = np.zeros(len(order), dtype=bool)
    is_dealt_G[dealt] = True
    for group in order[~is_dealt_G[order]].tolist():
        fit.put(group, fit.best(group))
    fit.fill_empty_parts()
    fit.improve()
    fit.guard(n_guarded)
    return fit.part_G


def _is_sole(counts_GK: Indices) -> NDArray[np.bool_]:
    """Which groups (G,) hold all rows of a stratum."""
    holds_GK = counts_GK > 0
    return np.asarray((holds_GK & (holds_GK.sum(axis=0) == 1)).any(axis=1))


def _turns(shares_P: Floats, n: int) -> Indices:
    """Parts (n,) in turn, each as often as its share wants."""
    places = [(np.arange(round(n * share) + 1) + 0.5) / share for share in shares_P.tolist()]
    parts = np.repeat(np.arange(len(places)), [len(place) for place in places])
    return np.asarray(parts[np.argsort(np.concatenate(places), kind="stable")][:n])


class _Fit:
    """Parts while groups are assigned, and how far they are from the wanted shares.

    The distance is the chi-square of the shares: the sum over parts and shares of weight · (share - wanted)² / wanted.
    """

    def __init__(self, counts_GK: Indices, shares_P: Floats, is_last_G: NDArray[np.bool_]) -> None:
        n_groups, n_strata = counts_GK.shape
        totals_K = counts_GK.sum(axis=0)
        shares_GK = counts_GK / totals_K * np.sqrt(1 / n_strata)
        sizes_G = counts_GK.sum(axis=1) / totals_K.sum() * np.sqrt(_SIZE_WEIGHT)
        self.share_GD = np.column_stack([shares_GK, sizes_G]) if n_strata > 1 else sizes_G[:, None]
        self.square_G = np.square(self.share_GD).sum(axis=1)
        self.wanted_P = shares_P
        self.excess_PD = -np.outer(shares_P, self.share_GD.sum(axis=0))
        self.part_G = np.full(n_groups, -1, dtype=np.int64)
        self.is_last_G = is_last_G
        self.counts_GK = counts_GK

    def put(self, group: int, part: int) -> None:
        """Put a group into a part, or move it there."""
        if self.is_last_G[group]:
            part = len(self.wanted_P) - 1
        old = self.part_G[group]
        if old >= 0:
            self.excess_PD[old] -= self.share_GD[group]
        self.excess_PD[part] += self.share_GD[group]
        self.part_G[group] = part

    def put_all(self, groups: Indices, parts: Indices) -> None:
        """Put groups that are in no part yet into parts, one for each."""
        parts = np.where(self.is_last_G[groups], len(self.wanted_P) - 1, parts)
        np.add.at(self.excess_PD, parts, self.share_GD[groups])
        self.part_G[groups] = parts

    def best(self, group: int) -> int:
        """The part that the group brings nearest to the wanted shares; the first one of equals."""
        change_P = (2 * self.excess_PD @ self.share_GD[group] + self.square_G[group]) / self.wanted_P
        return int(np.flatnonzero(change_P <= change_P.min() + 1e-12)[0])

    def fill_empty_parts(self) -> None:
        """Move the smallest group of a part that has several into each empty part."""
        for part in range(len(self.wanted_P)):
            if not (self.part_G == part).any():
                n_groups_P = np.bincount(self.part_G, minlength=len(self.wanted_P))
                is_movable_G = (n_groups_P[self.part_G] > 1) & ~self.is_last_G
                movable = np.flatnonzero(is_movable_G)
                self.put(int(movable[self.square_G[movable].argmin()]), part)

    def improve(self) -> None:
        """Move or swap groups while that brings the parts nearer to the wanted shares."""
        for _ in range(_MAX_STEPS):
            gain, moves = self._best_move()
            if len(self.part_G) <= _MAX_SWAPPED:
                swap_gain, swap = self._best_swap()
                if swap_gain > gain:
                    gain, moves = swap_gain, swap
            if gain <= 1e-9:
                return
            for group, part in moves:
                self.put(group, part)

    def _best_move(self) -> tuple[float, list[tuple[int, int]]]:
        cost_GP = (2 * self.share_GD @ self.excess_PD.T + self.square_G[:, None]) / self.wanted_P
        own_G = self.part_G
        leaving_G = (
            -2 * np.einsum("gd,gd->g", self.share_GD, self.excess_PD[own_G]) + self.square_G
        ) / self.wanted_P[own_G]
        change_GP = cost_GP + leaving_G[:, None]
        change_GP[np.arange(len(own_G)), own_G] = np.inf
        is_alone_P = np.bincount(own_G, minlength=len(self.wanted_P)) == 1
        change_GP[is_alone_P[own_G] | self.is_last_G] = np.inf
        group, part = np.unravel_index(int(change_GP.argmin()), change_GP.shape)
        return -float(change_GP[group, part]), [(int(group), int(part))]

    def _best_swap(self) -> tuple[float, list[tuple[int, int]]]:
        # Swapping g of part p with h of part q moves δ = g - h from p to q.
        own_G = self.part_G
        square_GG = self.square_G[:, None] + self.square_G - 2 * self.share_GD @ self.share_GD.T
        scaled_PD = self.excess_PD / self.wanted_P[:, None]
        along_GP = self.share_GD @ scaled_PD.T
        along_GG = along_GP[:, own_G]  # of g, along the part of h
        own_along_G = along_GP[np.arange(len(own_G)), own_G]
        to_q = along_GG - own_along_G  # δ along q: g's along q, less h's along its own
        to_p = own_along_G[:, None] - along_GG.T  # δ along p
        inverse_G = 1 / self.wanted_P[own_G]
        change_GG = 2 * (to_q - to_p) + square_GG * (inverse_G[:, None] + inverse_G)
        change_GG[own_G[:, None] == own_G] = np.inf
        change_GG[self.is_last_G] = np.inf
        change_GG[:, self.is_last_G] = np.inf
        one, other = map(int, np.unravel_index(int(change_GG.argmin()), change_GG.shape))
        return -float(change_GG[one, other]), [(one, int(own_G[other])), (other, int(own_G[one]))]

    def guard(self, n_guarded: int) -> None:
        """Let no part of the first ``n_guarded`` hold all rows of a stratum that has two groups."""
        holds_GK = self.counts_GK > 0
        for stratum in np.flatnonzero(holds_GK.sum(axis=0) > 1).tolist():
            holders = np.flatnonzero(holds_GK[:, stratum])
            part = int(self.part_G[holders[0]])
            if part >= n_guarded or (self.part_G[holders] != part).any():
                continue
            smallest = int(holders[self.square_G[holders].argmin()])
            self.put(smallest, len(self.wanted_P) - 1 if part < len(self.wanted_P) - 1 else 0)
