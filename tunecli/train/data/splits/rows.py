"""Parts of single rows, drawn at random within strata: a fraction, folds, and a fraction of the training rows.

Axes: N examples, K strata.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.validation import Stratify, Test, Validation
from tunecli.errors import DataError
from tunecli.seeding import generator_for
from tunecli.train.data.splits.parts import Booleans, Indices
from tunecli.train.data.table import Table

N_RANGES = 10
"""The number of ranges of a numeric target that ``stratify: quantiles`` makes."""

_MIN_ROWS = 5  # of a range, about
_MIN_SET = 10  # examples of a set of labels that is a stratum of its own


def strata_of(table: Table, stratify: Stratify, parameter: str) -> Indices:
    """The stratum (N,) of each row: its class, the range of its target, or 0 for all.

    Args:
        table: the training data.
        stratify: the setting.
        parameter: the configuration key of the part.

    Raises:
        DataError: the setting does not fit the target.
    """
    if stratify == "quantiles":
        if table.task != "regression" or table.y.ndim != 1:
            message = "`stratify: quantiles` needs a target of one number"
            hint = "leave it out: classes are stratified without it" if table.task == "classification" else ""
            raise DataError(message, hint=hint, parameter=f"{parameter}.stratify")
        return _ranges(table.y)
    if stratify == "auto" and table.task == "classification":
        strata_N: Indices = table.y
        return strata_N
    return np.zeros(len(table.y), dtype=np.int64)


def _ranges(y_N: NDArray[np.float64]) -> Indices:
    """The range (N,) of each target: bounds are the deciles, so equal targets are in one range."""
    n_ranges = max(1, min(N_RANGES, len(y_N) // _MIN_ROWS))
    bounds = np.unique(np.quantile(y_N, np.arange(1, n_ranges) / n_ranges))
    _, ranges_N = np.unique(np.searchsorted(bounds, y_N, side="right"), return_inverse=True)
    return ranges_N.reshape(-1).astype(np.int64)


def label_strata(table: Table, part: Validation | Test | None) -> Indices:
    """The stratum (N,) of each row of a table of labels: its set of labels; 0 for all unless single rows are drawn.

    A row with a rare set is in the stratum of the rarest label that it has, so a rare label gets its share of each part
    (as in Sechidis et al. 2011, which assigns the examples of the rarest label first). Strata with few rows are one.
    """
    everything = np.zeros(len(table.y), dtype=np.int64)
    if part is None or part.by != "row" or part.stratify == "none":
        return everything
    sets, set_N, n_of_set = np.unique(table.y, axis=0, return_inverse=True, return_counts=True)
    n_of_label = np.where(sets > 0, table.y.sum(axis=0), len(table.y) + 1)
    rarest = np.where(sets.any(axis=1), n_of_label.argmin(axis=1), sets.shape[1])
    stratum_of_set = np.where(n_of_set >= _MIN_SET, sets.shape[1] + 1 + np.arange(len(sets)), rarest)
    strata_N = stratum_of_set[set_N.reshape(-1)]
    is_small = np.bincount(strata_N) < _MIN_ROWS
    strata_N = np.where(is_small[strata_N], -1, strata_N)
    numbered_N: Indices = np.unique(strata_N, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return numbered_N


def shuffled(strata_N: Indices, is_open_N: Booleans, seed: int, *names: str | int) -> list[Indices]:
    """The open rows of each stratum in a random order, which names determine (seeds-by-name)."""
    generator = generator_for(seed, *names)
    return [
        generator.permutation(np.flatnonzero((strata_N == k) & is_open_N)) for k in range(strata_N.max() + 1)
    ]


def folds_of(strata: list[Indices], n_folds: int) -> list[Indices]:
    """The rows of each fold: dealt out in turn, stratum after stratum.

    So folds differ by at most one example, in all and in each stratum.
    """
    cards_N = np.concatenate(strata)
    return [cards_N[fold::n_folds] for fold in range(n_folds)]


def fraction_of(strata: list[Indices], fraction: float) -> Indices:
    """A fraction of the rows, with about that share of each stratum."""
    counts = allot(np.array([len(rows) for rows in strata]), fraction)
    return np.concatenate([rows[:n] for rows, n in zip(strata, counts, strict=True)])


def training_rows(strata: list[Indices], is_free_N: Booleans, train_fraction: float) -> Indices:
    """The training rows, ascending: ``train_fraction`` of the free rows of each stratum, at least one.

    They are a prefix of a fixed order: the rows of a smaller fraction are a subset of those of a larger one.
    """
    free = [rows[is_free_N[rows]] for rows in strata]
    kept = [rows[: max(1, round(train_fraction * len(rows)))] for rows in free]
    return np.sort(np.concatenate(kept))


def allot(counts_K: Indices, fraction: float) -> list[int]:
    """The examples to take from each stratum: ``fraction`` of all by largest remainder, but never the last one."""
    room_K = np.maximum(counts_K - 1, 0)
    n_valid = min(max(1, round(float(counts_K.sum()) * fraction)), int(room_K.sum()))
    exact_K = counts_K * (n_valid / counts_K.sum())
    given_K = np.minimum(np.floor(exact_K).astype(np.int64), room_K)
    while given_K.sum() < n_valid:
        lack_K = np.where(given_K < room_K, exact_K - given_K, -np.inf)
        given_K[int(lack_K.argmax())] += 1
    return [int(n) for n in given_K]
