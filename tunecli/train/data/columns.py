"""A table as its file has it: typed columns, with the errors of each and the decisions about it.

Owns the value that every format is read into, and the errors about a file's columns: all of them at once. Knows no
format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.suggestions import nearest
from tunecli.errors import DataError
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_text import ColumnKind

_MAX_SHOWN = 20
_MAX_CHARACTERS = 900  # an error is cut at 1000


@dataclass(frozen=True, slots=True)
class Request:
    """The columns to read from a file, and how.

    Attributes:
        parameter: the key to blame for what is wrong with the file.
        target: the target's column, where it has a name.
        text: the column that is read character by character: nothing in it is a number, and nothing missing.
        kinds: what the training file's columns hold; only these are read, and as that. None for the training file,
            of which every column is read and typed by its values.
    """

    parameter: str
    target: str | None = None
    text: str | None = None
    kinds: Mapping[str, ColumnKind] | None = None

    @property
    def named(self) -> frozenset[str]:
        """The columns that the user, or the training file, asks for by name."""
        return frozenset(name for name in (self.target, self.text) if name) | frozenset(self.kinds or ())

    def is_wanted(self, name: str) -> bool:
        """Whether a column is read at all."""
        if self.text is not None:
            return name in (self.target, self.text)
        return self.kinds is None or name in self.kinds or name == self.target


@dataclass(frozen=True, slots=True)
class ColumnProblem:
    """Why one column cannot be used.

    Attributes:
        message: the whole sentence, where it is the only problem of the file.
        short: the same in a list of several, beginning with the column's name.
        mend: what to do about it.
    """

    message: str
    short: str
    mend: str


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A table as its file has it.

    Attributes:
        name: the file's name, for messages.
        names: its columns, in order; those that hold a stored index are left out.
        values: per column that is wanted: float64 (NaN where missing), bool, or object (str or None).
        kinds: per column, what it holds.
        row_numbers: (N,) where each row stands in the file, counting from 1.
        row_word: what such a number counts: ``line`` or ``row``.
        problems: what is wrong with columns; theirs have no values.
        notes: what was decided about columns.
        marks: per column, the texts that were read as missing: text, first row, how often; in order of their rows.
        hint: what to say where a column is not found.
    """

    name: str
    names: tuple[str, ...]
    row_numbers: NDArray[np.int64]
    row_word: str
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    problems: list[ColumnProblem] = field(default_factory=list)
    notes: list[DataNote] = field(default_factory=list)
    marks: dict[str, tuple[tuple[str, int, int], ...]] = field(default_factory=dict)
    hint: str = ""

    def place(self, row: int) -> str:
        """Where a row stands, in words: ``line 7 of wine.csv``."""
        return f"{self.row_word} {self.row_numbers[row]} of {self.name}"

    def add_problem(self, column: str, what: str, mend: str, row: int | None = None) -> None:
        """Record why a column cannot be used.

        Args:
            column: its name.
            what: what is wrong, after the column's name: ``is infinite``.
            mend: what to do about it.
            row: where.
        """
        of_file = f" of {self.name}" if row is None else ""
        at_row = "" if row is None else f" in {self.place(row)}"
        self.problems.append(
            ColumnProblem(f"column `{column}`{of_file} {what}{at_row}", f"`{column}` {what}{at_row}", mend)
        )

    def add(self, column: str, kind: ColumnKind, values: NDArray[Any]) -> bool:
        """Keep a column, unless a number in it is infinite; whether it was kept."""
        if values.dtype == np.float64 and np.isinf(values).any():
            mend = "write finite numbers, or leave the field empty where one is missing"
            self.add_problem(column, "is infinite", mend, int(np.isinf(values).argmax()))
            return False
        self.values[column] = values
        self.kinds[column] = kind
        return True


def raise_problems(problems: Sequence[ColumnProblem], file: str, parameter: str) -> None:
    """Raise what is wrong with the columns of a file as one error, if anything is.

    Raises:
        DataError: there is at least one problem.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise DataError(problems[0].message, hint=problems[0].mend, parameter=parameter)
    message = (
        f"{len(problems)} columns of {file} cannot be used: {_listed([each.short for each in problems])}"
    )
    mends = Counter(problem.mend for problem in problems)
    raise DataError(message, hint=_listed([mend for mend in mends if mend]), parameter=parameter)


def no_such_column(
    name: str,
    known: list[str],
    file: str,
    *,
    kind: str = "column",
    parameter: str = "data.target",
    also: str = "",
) -> DataError:
    """The error for a column that is not there, with the nearest name and the list."""
    hint = "; ".join(part for part in (nearest(name, known), f"it has {names_shown(known)}", also) if part)
    return DataError(f"{file} has no {kind} `{name}`", hint=hint, parameter=parameter)


def check_header(header: Sequence[str], file: str, parameter: str) -> None:
    """Make sure that every column has a name of its own.

    Raises:
        DataError: there is no column; or some have no name, or the same one.
    """
    if not any(header):
        raise DataError(f"{file} is empty", parameter=parameter)
    found, hints = [], []
    nameless = [str(number) for number, name in enumerate(header, start=1) if not name]
    if nameless:
        word = "column" if len(nameless) == 1 else "columns"
        verb = "has" if len(nameless) == 1 else "have"
        found.append(f"{word} {names_shown(nameless)} of {file} {verb} no name")
        hints.append("name it in the header, or remove it from the file")
    counts = Counter(name for name in header if name)
    repeated = [name for name, n_columns in counts.items() if n_columns > 1]
    if repeated:
        numbers = {2: "two"}
        shown = [f"{numbers.get(counts[name], counts[name])} columns named `{name}`" for name in repeated]
        found.append(f"{file} has {_listed(shown)}")
        hints.append("give each column a name of its own")
    if found:
        raise DataError("; ".join(found), hint="; ".join(hints), parameter=parameter)


def names_shown(names: Sequence[str]) -> str:
    """Names as a message lists them; of many, the first."""
    rest = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + rest


def quoted(names: Sequence[str]) -> str:
    """Columns as a note lists them; of many, the first."""
    return names_shown([f"'{name}'" for name in names])


def _listed(parts: Sequence[str]) -> str:
    """As many as an error has room for."""
    shown: list[str] = []
    for part in parts:
        if shown and sum(map(len, shown)) + len(part) > _MAX_CHARACTERS:
            break
        shown.append(part)
    rest = len(parts) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more" if rest else "")
