"""Split a table's rows into training, validation and test parts.

The split is a function of the study's seed alone, so all trials of a study have the same one (seeds-by-name). One
module for each kind: `rows` (at random, stratified), `groups` and `times`; `drawing` chooses among them, and `problems`
finds the reasons why data cannot be split. Loads no torch.

Axes: N examples, K classes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from tunecli.config.schema.data import Data
from tunecli.config.schema.validation import Test, Validation
from tunecli.train.data.splits.drawing import SplitRows, apart_from_test, parts_of, require_enough, split_rows
from tunecli.train.data.splits.parts import Indices, Part, raise_problems
from tunecli.train.data.splits.problems import is_plain, parts_and_problems
from tunecli.train.data.splits.windows import windows_but_test
from tunecli.train.data.table import Table

__all__ = [
    "Indices",
    "Part",
    "is_plain",
    "is_redrawn",
    "part_sizes",
    "parts_and_problems",
    "require_enough",
    "rows_but_test",
    "split",
    "validated_classes",
]


def split(
    table: Table, data: Data, study_seed: int, validation: Table | None = None, test: Table | None = None
) -> list[Part]:
    """Split a table into one part, or into one for each fold of each repeat.

    With ``train_fraction`` below 1, each class keeps that fraction of its training examples, at least one; by time, the
    most recent rows are kept. The rows of a smaller fraction are a subset of those of a larger one.

    Args:
        table: the training data.
        data: the data's configuration.
        study_seed: the seed that determines the split.
        validation, test: the tables of the validation and the test file; None without such a file.

    Raises:
        DataError: the data cannot be split; the message has all reasons.
    """
    parts, problems = parts_and_problems(table, data, study_seed, validation, test)
    raise_problems(problems)
    if data.test is None or data.test.fraction is not None or data.test.by == "column":
        return parts
    n_test_file = 0 if test is None else len(test.y)
    return [replace(part, test_indices=np.arange(n_test_file)) for part in parts]


def rows_but_test(table: Table, data: Data, study_seed: int) -> Indices:
    """All examples of a table that a trial may train or validate on, ascending; ``train_fraction`` has no effect.

    Windows of a time series that overlap the test part are left out, as in `split`.

    Args:
        table: the training data, which `split` accepts.
        data: the data's configuration.
        study_seed: the seed that determines the split.

    Raises:
        DataError: the test part cannot be drawn.
    """
    if table.windows is not None:
        return windows_but_test(table, table.windows, data, study_seed)
    rows = split_rows(table, data)
    return np.flatnonzero(apart_from_test(rows, data.validation, data.test, study_seed)[1])


def is_redrawn(data: Data) -> bool:
    """Whether another seed gives another split: files, times and marks of a column fix the parts."""
    drawn = [part for part in (data.validation, data.test) if part is not None]
    is_drawn = any(
        part.by in ("row", "group")
        and (part.fraction is not None or getattr(part, "folds", None) is not None)
        for part in drawn
    )
    return is_drawn or (data.train_fraction < 1 and data.validation.by != "time")


@lru_cache(maxsize=256)
def part_sizes(
    counts: tuple[int, ...],
    validation: Validation,
    train_fraction: float,
    n_file: int = 0,
    test: Test | None = None,
) -> tuple[tuple[int, int], ...]:
    """The number of training and validation examples of each part of single rows; the same for every seed.

    Args:
        counts: examples of each class; for regression, one number: all examples.
        validation: the configuration of the validation part.
        train_fraction: the fraction of training examples kept, in (0, 1].
        n_file: rows of the validation file; 0 without one.
        test: the configuration of the test part, which is drawn first.

    Raises:
        DataError: there are too few examples.
    """
    parts = parts_of(_counted(counts), validation, test, train_fraction, 0, n_file)
    return tuple((len(part.train_indices), len(part.valid_indices)) for part in parts)


@lru_cache(maxsize=256)
def validated_classes(
    counts: tuple[int, ...], validation: Validation, test: Test | None = None
) -> tuple[frozenset[int], ...]:
    """The classes that have an example in each validation part of single rows; the same for every seed.

    Args:
        counts: examples of each class.
        validation: the configuration of the validation part: a fraction, or folds.
        test: the configuration of the test part, which is drawn first.

    Raises:
        DataError: there are too few examples.
    """
    table = _counted(counts)
    parts = parts_of(table, validation, test, 1.0, 0)
    return tuple(frozenset(np.unique(table.strata[part.valid_indices]).tolist()) for part in parts)


def _counted(counts: tuple[int, ...]) -> SplitRows:
    strata_N = np.repeat(np.arange(len(counts)), counts)
    return SplitRows(strata_N, strata_N)
