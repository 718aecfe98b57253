"""The values of a split: a part, a problem of a split, and the rows that are cut for validation or test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError

Indices = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The examples of one model, as ascending row indices.

    ``valid_indices`` and ``test_indices`` are rows of the validation or test file if there is one, and of the table
    otherwise. ``test_indices`` are the same for all parts, and empty without a test part.
    """

    train_indices: Indices
    valid_indices: Indices
    test_indices: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The rows that one split takes from the training data.

    Attributes:
        rows: the rows of the validation or test part.
        left_out: rows that are in no part: those of a gap, and those after the validation part of a fold by time.
    """

    rows: Indices
    left_out: Indices


def cut(rows: Indices) -> Cut:
    """A cut that leaves no rows out."""
    return Cut(rows, np.zeros(0, dtype=np.int64))


class SplitProblem(NamedTuple):
    """One reason why data cannot be split as requested.

    Attributes:
        parameter: the path under ``trial`` at fault.
        message: the problem, in one sentence.
        hint: what mends it.
    """

    parameter: str
    message: str
    hint: str = ""


def problem_of(error: DataError) -> SplitProblem:
    """The problem that an error states."""
    return SplitProblem(error.parameter, error.message, error.hint)


def raise_problems(problems: Sequence[SplitProblem]) -> None:
    """Raise one error with all problems, if there is one.

    Raises:
        DataError: with the messages and the hints of all problems.
    """
    if problems:
        hints = dict.fromkeys(problem.hint for problem in problems if problem.hint)
        message = "; ".join(problem.message for problem in problems)
        raise DataError(message, hint="; ".join(hints), parameter=problems[0].parameter)
