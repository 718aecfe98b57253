"""The facts about a split before any training: sizes and classes of its parts, and its problems.

Parts of single rows follow from the number of examples of each class. For other kinds the table is read and split, once
for each configuration. Loads no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.data import Data
from tunecli.errors import DataError
from tunecli.train.data.sources import DataFacts, read_source, read_test, read_validation
from tunecli.train.data.splits import (
    is_plain,
    part_sizes,
    parts_and_problems,
    validated_classes,
)
from tunecli.train.data.splits.parts import SplitProblem, problem_of
from tunecli.train.data.stamps import Stamp, stamps_of
from tunecli.train.data.table import Table


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """The facts about a split.

    Attributes:
        sizes: the number of training and validation examples of each fold of each repeat.
        n_test: the number of test rows that are taken from the training data.
        n_left_out: the rows that are in no part: those of a gap, and those that a column marks for a test part that the
            trial does not have. Of folds by time, those of the last fold.
        classes: the classes or labels of the validation examples of each part; empty for regression.
        trained_labels: the labels of the training examples of each part; empty for other tasks than labels.
        problems: why the data cannot be split as requested; the other facts are empty then.
    """

    sizes: tuple[tuple[int, int], ...] = ()
    n_test: int = 0
    n_left_out: int = 0
    classes: tuple[frozenset[int], ...] = ()
    trained_labels: tuple[frozenset[int], ...] = ()
    problems: tuple[SplitProblem, ...] = ()


def split_facts(data: Data, facts: DataFacts, base_path: Path, study_seed: int) -> SplitFacts:
    """The facts about the split of a trial's data.

    Args:
        data: the data's configuration.
        facts: the facts about the whole data.
        base_path: the folder that relative file names start from.
        study_seed: the seed that determines the split.

    Raises:
        DataError: a file cannot be read.
    """
    validation = read_validation(data, base_path)
    has_groups = validation is not None and validation.roles.group is not None
    has_groups = has_groups or (data.test is not None and data.test.file is not None)
    if is_plain(data, facts.task) and not has_groups:
        return _of_counts(data, facts, validation)
    knobs = data.model_copy(update={"augment": [], "balance": "none", "normalize": "none"}).model_dump_json()
    stamps = stamps_of(data, base_path, open_test=True)
    return _of_table(knobs, str(base_path.resolve()), stamps, study_seed)


def _of_counts(data: Data, facts: DataFacts, validation: Table | None) -> SplitFacts:
    counts = facts.class_counts or (facts.n_examples,)
    n_file = 0 if validation is None else len(validation.y)
    try:
        sizes = part_sizes(counts, data.validation, data.train_fraction, n_file, data.test)
        ((n_train, n_valid), *_) = part_sizes(counts, data.validation, 1.0, n_file, data.test)
        if validation is not None:
            n_valid = 0
            classes = _classes_of(validation, np.arange(n_file))
        elif facts.class_counts:
            classes = validated_classes(counts, data.validation, data.test)
        else:
            classes = ()
    except DataError as error:
        return SplitFacts(problems=(problem_of(error),))
    return SplitFacts(sizes, facts.n_examples - n_train - n_valid, 0, classes)


@lru_cache(maxsize=256)
def _of_table(knobs: str, base_path: str, stamps: tuple[Stamp, ...], study_seed: int) -> SplitFacts:
    data, path = Data.model_validate_json(knobs), Path(base_path)
    whole = data.model_copy(update={"train_fraction": 1.0})
    table, validation = read_source(data, path), read_validation(data, path)
    test = None
    if data.test is not None and data.test.file is not None and table.roles.group is not None:
        test = read_test(data, path)
    parts, problems = parts_and_problems(table, data, study_seed, validation, test)
    if problems:
        return SplitFacts(problems=tuple(problems))
    (*_, last), _ = parts_and_problems(table, whole, study_seed, validation, test)
    used = [last.train_indices, last.test_indices, *([] if validation else [last.valid_indices])]
    return SplitFacts(
        tuple((len(part.train_indices), len(part.valid_indices)) for part in parts),
        len(last.test_indices),
        len(table.y) - sum(map(len, used)),
        tuple(found for part in parts for found in _classes_of(validation or table, part.valid_indices)),
        tuple(_labels_of(table, part.train_indices) for part in parts if table.task == "multilabel"),
    )


def _classes_of(table: Table, rows: NDArray[np.int64]) -> tuple[frozenset[int], ...]:
    """The classes or labels of some rows, as the only element; none for regression."""
    if table.task == "multilabel":
        return (_labels_of(table, rows),)
    if table.task != "classification" or table.y.ndim != 1:
        return ()
    return (frozenset(np.unique(table.y[rows]).tolist()),)


def _labels_of(table: Table, rows: NDArray[np.int64]) -> frozenset[int]:
    """The labels that some row has."""
    return frozenset(np.flatnonzero(table.y[rows].any(axis=0)).tolist())
