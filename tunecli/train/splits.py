"""What trains and what validates: a fraction, folds, or a file of its own; stratified for classification.

The split is a function of the study's seed alone, so every trial of a study sees the same one (law 3).
Knows nothing of values, only of classes and counts; loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.seeding import generator_for
from tunecli.spec.knobs.data import Data, Validation
from tunecli.train.table import Table

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One model's examples, as ascending row numbers.

    ``valid_indices`` count the rows of the validation file where there is one, else those of the table.
    """

    train_indices: Indices
    valid_indices: Indices


def split(table: Table, data: Data, study_seed: int, validation: Table | None = None) -> list[Part]:
    """Split a table into one part, or into as many as there are folds.

    With ``train_fraction`` below 1, each class keeps that share of its training examples, at least one; a
    smaller share is a subset of a larger one.

    Args:
        table: the training data.
        data: its knobs.
        study_seed: names the split.
        validation: the validation file's table, where there is one.

    Raises:
        DataError: there are too few examples, or too few of one class.
    """
    strata_N = table.y if table.task == "classification" else np.zeros(len(table.y), dtype=np.int64)
    require_enough(tuple(np.bincount(strata_N).tolist()), data.validation)
    n_valid = len(validation.y) if validation is not None else 0
    return _split(strata_N, data.validation, data.train_fraction, study_seed, n_valid)


def require_enough(counts: tuple[int, ...], validation: Validation) -> None:
    """Make sure that every class can have a training example in every part, and validation has one at all.

    Args:
        counts: examples of each class, or their number alone for regression.
        validation: what validates.

    Raises:
        DataError: there are too few.
    """
    if validation.folds is not None and min(counts) < validation.folds:
        what = "examples in all" if len(counts) == 1 else "examples in the smallest class"
        message = f"{validation.folds} folds of {min(counts)} {what}"
        raise DataError(message, hint="use fewer folds", parameter="data.validation")
    if validation.fraction is not None and sum(counts) <= len(counts):
        message = f"{sum(counts)} examples of {len(counts)} classes leave none to validate on"
        if len(counts) == 1:
            message = "one example leaves none to validate on"
        raise DataError(message, hint="add data", parameter="data.validation")


@lru_cache(maxsize=256)
def part_sizes(
    counts: tuple[int, ...], validation: Validation, train_fraction: float, n_file: int = 0
) -> tuple[tuple[int, int], ...]:
    """How many examples train and validate in each part; the same for every seed.

    Args:
        counts: examples of each class, or their number alone for regression.
        validation: what validates.
        train_fraction: the share of training examples kept, in (0, 1].
        n_file: rows of the validation file, where there is one.

    Raises:
        DataError: there are too few examples.
    """
    require_enough(counts, validation)
    strata_N = np.repeat(np.arange(len(counts)), counts)
    parts = _split(strata_N, validation, train_fraction, 0, n_file)
    return tuple((len(part.train_indices), len(part.valid_indices)) for part in parts)


def _split(
    strata_N: Indices, validation: Validation, train_fraction: float, study_seed: int, n_file: int
) -> list[Part]:
    generator = generator_for(study_seed, "split")
    shuffled = [generator.permutation(np.flatnonzero(strata_N == k)) for k in range(strata_N.max() + 1)]
    if validation.folds is not None:
        # Dealt out like cards, class after class: folds differ by one example at most, in all and per class.
        cards_N = np.concatenate(shuffled)
        folds = [cards_N[fold :: validation.folds] for fold in range(validation.folds)]
    elif validation.fraction is not None:
        n_valid = _allot(np.array([len(rows) for rows in shuffled]), validation.fraction)
        folds = [np.concatenate([rows[:n] for rows, n in zip(shuffled, n_valid, strict=True)])]
    else:
        folds = [np.zeros(0, dtype=np.int64)]
    parts = []
    for fold in folds:
        is_valid_N = np.zeros(len(strata_N), dtype=bool)
        is_valid_N[fold] = True
        training = [rows[~is_valid_N[rows]] for rows in shuffled]
        # A prefix of a fixed order, so that a smaller share is a subset of a larger one.
        kept = [rows[: max(1, round(train_fraction * len(rows)))] for rows in training]
        valid_indices = np.arange(n_file) if validation.file is not None else np.sort(fold)
        parts.append(Part(np.sort(np.concatenate(kept)), valid_indices))
    return parts


def _allot(counts_K: Indices, fraction: float) -> list[int]:
    """Share out the validation examples by largest remainder, leaving each class one to train on."""
    room_K = counts_K - 1
    n_valid = min(max(1, round(float(counts_K.sum()) * fraction)), int(room_K.sum()))
    exact_K = counts_K * (n_valid / counts_K.sum())
    given_K = np.minimum(np.floor(exact_K).astype(np.int64), room_K)
    while given_K.sum() < n_valid:
        lack_K = np.where(given_K < room_K, exact_K - given_K, -np.inf)
        given_K[int(lack_K.argmax())] += 1
    return [int(n) for n in given_K]
