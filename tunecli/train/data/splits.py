"""Split a table's rows into training, validation and test parts; stratified for classification.

The split is a function of the study's seed alone, so all trials of a study have the same one (seeds-by-name).
Loads no torch.

Axes: N examples, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.config.schema.validation import Test, Validation
from tunecli.errors import DataError
from tunecli.seeding import generator_for
from tunecli.train.data.table import Table

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The examples of one model, as ascending row indices.

    ``valid_indices`` and ``test_indices`` are rows of the validation or test file if there is one, and of the table
    otherwise. ``test_indices`` are the same for all parts, and empty without a test part.
    """

    train_indices: Indices
    valid_indices: Indices
    test_indices: Indices


def split(
    table: Table, data: Data, study_seed: int, validation: Table | None = None, test: Table | None = None
) -> list[Part]:
    """Split a table into one part, or into one for each fold.

    With ``train_fraction`` below 1, each class keeps that fraction of its training examples, at least one. The rows of
    a smaller fraction are a subset of those of a larger one.

    Args:
        table: the training data.
        data: the data's configuration.
        study_seed: the seed that determines the split.
        validation, test: the tables of the validation and the test file; None without such a file.

    Raises:
        DataError: there are too few examples, or too few of one class.
    """
    strata_N = table.y if table.task == "classification" else np.zeros(len(table.y), dtype=np.int64)
    n_validation_file, n_test_file = (0 if file is None else len(file.y) for file in (validation, test))
    parts = _split(strata_N, data.validation, data.test, data.train_fraction, study_seed, n_validation_file)
    if data.test is None or data.test.fraction is not None:
        return parts
    return [replace(part, test_indices=np.arange(n_test_file)) for part in parts]


def require_enough(counts: tuple[int, ...], validation: Validation) -> None:
    """Check that every class can have a training example in every part, and that validation can have an example.

    Args:
        counts: examples of each class; for regression, one number: all examples.
        validation: the configuration of the validation part.

    Raises:
        DataError: there are too few examples.
    """
    if validation.folds is not None and min(counts) < validation.folds:
        where = "in all" if len(counts) == 1 else "in the smallest class"
        examples = "example" if min(counts) == 1 else "examples"
        message = f"{validation.folds} folds are more than the {min(counts)} {examples} {where}"
        raise DataError(message, hint="use fewer folds", parameter="data.validation")
    if validation.fraction is not None and sum(counts) <= len(counts):
        message = f"{sum(counts)} examples of {len(counts)} classes leave none to validate on"
        if len(counts) == 1:
            message = "one example leaves none to validate on"
        raise DataError(message, hint="add data", parameter="data.validation")


@lru_cache(maxsize=256)
def part_sizes(
    counts: tuple[int, ...],
    validation: Validation,
    train_fraction: float,
    n_file: int = 0,
    test: Test | None = None,
) -> tuple[tuple[int, int], ...]:
    """The number of training and validation examples of each part; the same for every seed.

    Args:
        counts: examples of each class; for regression, one number: all examples.
        validation: the configuration of the validation part.
        train_fraction: the fraction of training examples kept, in (0, 1].
        n_file: rows of the validation file; 0 without one.
        test: the configuration of the test part, which is drawn first.

    Raises:
        DataError: there are too few examples.
    """
    strata_N = np.repeat(np.arange(len(counts)), counts)
    parts = _split(strata_N, validation, test, train_fraction, 0, n_file)
    return tuple((len(part.train_indices), len(part.valid_indices)) for part in parts)


@lru_cache(maxsize=256)
def validated_classes(
    counts: tuple[int, ...], validation: Validation, test: Test | None = None
) -> tuple[frozenset[int], ...]:
    """The classes that have an example in each validation part; the same for every seed.

    Args:
        counts: examples of each class.
        validation: the configuration of the validation part: a fraction, or folds.
        test: the configuration of the test part, which is drawn first.

    Raises:
        DataError: there are too few examples.
    """
    strata_N = np.repeat(np.arange(len(counts)), counts)
    parts = _split(strata_N, validation, test, 1.0, 0, 0)
    return tuple(frozenset(np.unique(strata_N[part.valid_indices]).tolist()) for part in parts)


def _split(
    strata_N: Indices,
    validation: Validation,
    test: Test | None,
    train_fraction: float,
    study_seed: int,
    n_validation_file: int,
) -> list[Part]:
    is_test_N = _draw_test(strata_N, test, study_seed)
    strata = [np.flatnonzero((strata_N == k) & ~is_test_N) for k in range(strata_N.max() + 1)]
    require_enough(tuple(map(len, strata)), validation)
    generator = generator_for(study_seed, "split")
    shuffled = [generator.permutation(rows) for rows in strata]
    if validation.folds is not None:
        # Dealt out in turn, class after class: folds differ by at most one example, in all and in each class.
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
        # A prefix of a fixed order: the rows of a smaller fraction are a subset of those of a larger one.
        kept = [rows[: max(1, round(train_fraction * len(rows)))] for rows in training]
        valid_indices = np.arange(n_validation_file) if validation.file is not None else np.sort(fold)
        parts.append(Part(np.sort(np.concatenate(kept)), valid_indices, np.flatnonzero(is_test_N)))
    return parts


def _draw_test(strata_N: Indices, test: Test | None, study_seed: int) -> NDArray[np.bool_]:
    """Which rows (N,) are the test part. They are drawn first, and so do not depend on the validation part."""
    is_test_N = np.zeros(len(strata_N), dtype=bool)
    if test is not None and test.fraction is not None:
        generator = generator_for(study_seed, "test")
        strata = [np.flatnonzero(strata_N == k) for k in range(strata_N.max() + 1)]
        if len(strata_N) <= len(strata):
            message = f"{len(strata_N)} examples of {len(strata)} classes leave none to test on"
            if len(strata) == 1:
                message = "one example leaves none to test on"
            raise DataError(message, hint="add data", parameter="data.test")
        for rows, n in zip(strata, _allot(np.array([*map(len, strata)]), test.fraction), strict=True):
            is_test_N[generator.permutation(rows)[:n]] = True
    return is_test_N


def _allot(counts_K: Indices, fraction: float) -> list[int]:
    """The examples to take from each class: ``fraction`` of all by largest remainder, but never a class's last one."""
    room_K = counts_K - 1
    n_valid = min(max(1, round(float(counts_K.sum()) * fraction)), int(room_K.sum()))
    exact_K = counts_K * (n_valid / counts_K.sum())
    given_K = np.minimum(np.floor(exact_K).astype(np.int64), room_K)
    while given_K.sum() < n_valid:
        lack_K = np.where(given_K < room_K, exact_K - given_K, -np.inf)
        given_K[int(lack_K.argmax())] += 1
    return [int(n) for n in given_K]
