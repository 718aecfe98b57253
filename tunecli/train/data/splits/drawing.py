"""The parts of a data set, drawn by the kind of split that its settings name.

The test part is drawn first, so it does not depend on the validation part. To add a kind of split, write a module that
makes a `Cut`, and call it in `_test_cut` and `_validation_cuts`.

Axes: N examples, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.config.schema.validation import Test, Validation
from tunecli.errors import DataError
from tunecli.seeding import generator_for
from tunecli.train.data.splits import groups, rows, times
from tunecli.train.data.splits.parts import Booleans, Cut, Indices, Part, cut
from tunecli.train.data.table import Table

TRAIN, VALIDATION, TEST = "train", "validation", "test"


@dataclass(frozen=True, slots=True, eq=False)
class SplitRows:
    """Everything about the rows of a table that a split depends on, each (N,), or None if it is absent.

    Attributes:
        strata, test_strata: the strata that the validation and the test part are drawn from.
        groups, times, marks: as in `RowRoles`; a mark is ``train``, ``validation`` or ``test``.
        is_classes: whether the strata are classes, which every training part needs.
    """

    strata: Indices
    test_strata: Indices
    groups: NDArray[np.object_] | None = None
    times: NDArray[np.float64] | None = None
    marks: NDArray[np.object_] | None = None
    is_classes: bool = True


def split_rows(table: Table, data: Data) -> SplitRows:
    """The rows of a table as a split needs them.

    Raises:
        DataError: `stratify` does not fit the target.
    """
    strata_N = rows.strata_of(table, data.validation.stratify, "data.validation")
    test_stratify = "auto" if data.test is None else data.test.stratify
    test_strata_N = rows.strata_of(table, test_stratify, "data.test")
    if table.task == "multilabel":
        strata_N = rows.label_strata(table, data.validation)
        test_strata_N = rows.label_strata(table, data.test)
    roles = table.roles
    is_classes = data.validation.stratify == "auto" and table.task != "multilabel"
    return SplitRows(strata_N, test_strata_N, roles.group, roles.time, roles.part, is_classes)


def parts_of(
    table: SplitRows,
    validation: Validation,
    test: Test | None,
    train_fraction: float,
    study_seed: int,
    n_validation_file: int = 0,
) -> list[Part]:
    """One part, or one for each fold of each repeat.

    Args:
        table: the rows of the training data, with the columns that the kinds of split need.
        validation, test: the configuration of the parts.
        train_fraction: the fraction of the training rows that is kept.
        study_seed: the seed that determines the split.
        n_validation_file: rows of the validation file; 0 without one.

    Raises:
        DataError: there are too few examples, groups or times.
    """
    tested, is_open_N = apart_from_test(table, validation, test, study_seed)
    test_indices = np.sort(tested.rows)
    parts = []
    for repeat in range(validation.repeats):
        names = ("split",) if repeat == 0 else ("split", "repeat", repeat)
        strata = rows.shuffled(table.strata, is_open_N, study_seed, *names)
        for part in _validation_cuts(table, validation, strata, is_open_N, (study_seed, names)):
            is_free_N = is_open_N.copy()
            is_free_N[part.rows] = False
            is_free_N[part.left_out] = False
            if validation.by == "time":
                train_indices = times.most_recent(
                    np.flatnonzero(is_free_N), _required(table.times), train_fraction
                )
            else:
                train_indices = rows.training_rows(strata, is_free_N, train_fraction)
            is_file = validation.file is not None
            valid_indices = np.arange(n_validation_file) if is_file else np.sort(part.rows)
            parts.append(Part(train_indices, valid_indices, test_indices))
    return parts


def apart_from_test(
    table: SplitRows, validation: Validation, test: Test | None, study_seed: int
) -> tuple[Cut, Booleans]:
    """The test part, and which rows (N,) are left for training and validation; the parameters are as in `parts_of`.

    Raises:
        DataError: as `parts_of`.
    """
    tested = _test_cut(table, test, study_seed)
    is_open_N = np.ones(len(table.strata), dtype=bool)
    is_open_N[tested.rows] = False
    is_open_N[tested.left_out] = False
    if validation.by == "column":
        is_open_N[_marked(table, TEST)] = False
    return tested, is_open_N


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


def _test_cut(table: SplitRows, test: Test | None, study_seed: int) -> Cut:
    """The rows of the test part; none if there is none, or if it is a file or a set of its own."""
    strata_N = table.test_strata
    everything = np.arange(len(strata_N))
    if test is not None and test.by == "column":
        return cut(_marked(table, TEST))
    if test is None or test.fraction is None:
        return cut(everything[:0])
    match test.by:
        case "time":
            return times.latest(everything, _required(table.times), test.fraction, test.gap, "data.test")
        case "group":
            grouped = groups.groups_of(everything, _required(table.groups), strata_N)
            generator = generator_for(study_seed, "test", "groups")
            return groups.fraction_of(grouped, test.fraction, generator, "data.test")
    strata = rows.shuffled(strata_N, np.ones(len(strata_N), dtype=bool), study_seed, "test")
    if len(strata_N) <= len(strata):
        message = f"{len(strata_N)} examples of {len(strata)} classes leave none to test on"
        if len(strata) == 1:
            message = "one example leaves none to test on"
        raise DataError(message, hint="add data", parameter="data.test")
    return cut(rows.fraction_of(strata, test.fraction))


def _validation_cuts(
    table: SplitRows,
    validation: Validation,
    strata: list[Indices],
    is_open_N: Booleans,
    seed_names: tuple[int, tuple[str | int, ...]],
) -> Iterator[Cut]:
    """The rows of the validation part, or of each fold; no rows for a validation file."""
    open_rows, key = np.flatnonzero(is_open_N), "data.validation"
    fraction, n_folds = validation.fraction, validation.folds
    seed, names = seed_names
    if validation.file is not None:
        yield cut(open_rows[:0])
        return
    match validation.by:
        case "column":
            yield cut(_marked(table, VALIDATION))
        case "time" if n_folds is not None:
            yield from times.forward_chains(open_rows, _required(table.times), n_folds, validation.gap, key)
        case "time":
            assert fraction is not None
            yield times.latest(open_rows, _required(table.times), fraction, validation.gap, key)
        case "group":
            grouped = groups.groups_of(open_rows, _required(table.groups), table.strata)
            generator = generator_for(seed, *names, "groups")
            if n_folds is not None:
                yield from groups.folds_of(grouped, n_folds, generator, key)
            else:
                assert fraction is not None
                yield groups.fraction_of(grouped, fraction, generator, key)
        case "row":
            counts = tuple(map(len, strata))
            require_enough(counts if table.is_classes else (sum(counts),), validation)
            if n_folds is not None:
                yield from map(cut, rows.folds_of(strata, n_folds))
            else:
                assert fraction is not None
                yield cut(rows.fraction_of(strata, fraction))


def _marked(table: SplitRows, mark: str) -> Indices:
    """The rows with a mark, ascending."""
    return np.flatnonzero(_required(table.marks) == mark)


def _required(column_N: NDArray[Any] | None) -> NDArray[Any]:
    assert column_N is not None, "`problems_of` finds that the column is missing"
    return column_N
