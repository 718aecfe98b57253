"""The columns of a file, typed, with their problems and notes: the value that every format is read into.

Owns the errors about columns, which are all raised at once. Does not know the formats.

Axes: N rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.columns import ColumnSettings, ColumnType
from tunecli.config.suggestions import nearest
from tunecli.errors import DataError
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_format import PLAIN_FORMAT, NumberFormat
from tunecli.train.data.number_text import ColumnKind

_MAX_SHOWN = 20
_MAX_CHARACTERS = 900  # an error is cut at 1000


_KINDS: dict[ColumnType, ColumnKind] = {"number": "number", "category": "text", "truth": "truth"}
_KINDS_OF_ROLES: dict[str, ColumnKind] = {"weight": "number", "id": "text", "group": "text", "split": "text"}
_WORDS: dict[ColumnKind, str] = {"truth": "true and false", "number": "numbers"}


def kinds_set(settings: ColumnSettings) -> dict[str, ColumnKind]:
    """The kinds of columns that the user's settings decide. The values of a column of dates decide its kind."""
    of_roles = {
        name: _KINDS_OF_ROLES[role]
        for name, roles in settings.roles.items()
        for role in roles
        if role in _KINDS_OF_ROLES
    }
    of_types = {name: _KINDS[kind] for name, kind in settings.types.items() if kind in _KINDS}
    return of_roles | of_types


@dataclass(frozen=True, slots=True)
class Request:
    """The columns to read from a file, and how.

    Attributes:
        parameter: the configuration key that errors about the file name.
        targets: the target's columns; empty if the user has named none.
        text: the column of texts: its fields are never numbers and never missing.
        reads_columns: whether the columns beside the texts are read too.
        kinds: the kinds of the training file's columns: only these columns are read, each as its kind. None for the
            training file itself: all its columns are read, and their values decide their kinds.
        types: the kinds that the user sets, by column of the training file: these values decide nothing.
        formats: how the training file writes the numbers of columns that are not plain.
        columns: the columns that the user leaves out, that are no inputs, or that have a type.
    """

    parameter: str
    targets: tuple[str, ...] = ()
    text: str | None = None
    kinds: Mapping[str, ColumnKind] | None = None
    types: Mapping[str, ColumnKind] = field(default_factory=dict)
    formats: Mapping[str, NumberFormat] = field(default_factory=dict)
    columns: ColumnSettings = field(default_factory=ColumnSettings)
    reads_columns: bool = False

    def format_of(self, name: str) -> NumberFormat | None:
        """How a column of numbers is written; None if its values decide."""
        return None if self.kinds is None else self.formats.get(name, PLAIN_FORMAT)

    @property
    def named(self) -> frozenset[str]:
        """The columns that the user or the training file names."""
        of_columns = (name for _, name in self.columns.named)
        names = (*self.targets, self.text, *of_columns, *(self.kinds or ()), *self.types)
        return frozenset(name for name in names if name)

    def is_wanted(self, name: str) -> bool:
        """Whether a column is read. Readers drop all other columns."""
        return bool(self.wanted((name,)))

    def wanted(self, names: Sequence[str]) -> list[str]:
        """The columns of ``names`` that are read; faster than to ask for each of them."""
        asked = {*self.targets, self.text, *self.columns.roles}
        if self.kinds is not None:
            return [name for name in names if name in asked or name in self.kinds]
        if self.text is not None and not self.reads_columns:
            return [name for name in names if name in asked]
        dropped, kept = {*self.columns.drop}, None if self.columns.keep is None else {*self.columns.keep}
        return [
            name
            for name in names
            if name in asked or (name not in dropped and (kept is None or name in kept))
        ]

    def kind_of(self, name: str) -> ColumnKind | None:
        """The kind that a column is read as; None if its values decide."""
        return (self.kinds or {}).get(name) or self.types.get(name)

    def may_be_missing(self, name: str) -> bool:
        """Whether a column may have missing numbers: a target and a weight may not."""
        return name not in self.targets and "weight" not in self.columns.roles.get(name, ())

    def reason(self, name: str, kind: ColumnKind) -> str:
        """Why a column must be of a kind: ``numbers in the training data``."""
        how = self.format_of(name)
        if how is not None and how.example:
            return f"{_WORDS.get(kind, kind)} written like `{how.example[:40]}` in the training data"
        if self.kinds is not None:
            return f"{_WORDS.get(kind, kind)} in the training data"
        roles = self.columns.roles.get(name)
        if roles and name not in self.columns.types:
            return f"the `data.columns.{roles[0]}` must be {_WORDS.get(kind, kind)}"
        return f"{_WORDS.get(kind, kind)} by its type"


@dataclass(frozen=True, slots=True)
class ColumnProblem:
    """Why one column cannot be used.

    Attributes:
        message: the sentence if it is the only problem of the file.
        short: the same for a list of problems; begins with the column's name.
        fix: what to do about it.
    """

    message: str
    short: str
    fix: str


@dataclass(frozen=True, slots=True, eq=False)
class RowPlaces:
    """Where the rows of a table are in their files, for messages.

    Attributes:
        word: the unit of ``numbers``: ``line`` or ``row``.
        numbers: (N,) the place of each row in its file, counted from 1.
        files: the first row and the name of each file.
    """

    word: str
    numbers: NDArray[np.int64]
    files: tuple[tuple[int, str], ...]

    def of(self, row: int) -> str:
        """The place of a row, in words: ``line 7 of wine.csv``."""
        name = next(name for first, name in reversed(self.files) if first <= row)
        return f"{self.word} {self.numbers[row]} of {name}"


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of a file.

    Attributes:
        name: the file's name, for messages.
        names: all its columns, in order, without a stored index.
        row_numbers: (N,) the place of each row in the file, counted from 1.
        row_word: the unit of ``row_numbers``: ``line`` or ``row``.
        values: by requested column, (N,) float64 (NaN if missing), bool, or object (str, or None if missing).
        kinds: by requested column, its kind.
        formats: by column of numbers that are not plain, how they are written.
        problems: why columns cannot be used; such columns have no values.
        notes: decisions about columns.
        marks: by column, the texts that were read as missing: text, first row, number of rows; in order of the rows.
        hint: advice for the error that a column does not exist.
        files: the first row and the name of each file, if there are several.
        block: the names of columns of numbers, and the array (N, F) that holds all of them; None if each has its own.
    """

    name: str
    names: tuple[str, ...]
    row_numbers: NDArray[np.int64]
    row_word: str
    values: dict[str, NDArray[Any]] = field(default_factory=dict)
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    formats: dict[str, NumberFormat] = field(default_factory=dict)
    problems: list[ColumnProblem] = field(default_factory=list)
    notes: list[DataNote] = field(default_factory=list)
    marks: dict[str, tuple[tuple[str, int, int], ...]] = field(default_factory=dict)
    hint: str = ""
    files: tuple[tuple[int, str], ...] = ()
    block: tuple[tuple[str, ...], NDArray[np.float64]] | None = None

    def place(self, row: int) -> str:
        """The place of a row, in words: ``line 7 of wine.csv``."""
        return self.places.of(row)

    @property
    def places(self) -> RowPlaces:
        """The places of all rows."""
        return RowPlaces(self.row_word, self.row_numbers, self.files or ((0, self.name),))

    def add_problem(self, column: str, predicate: str, fix: str, row: int | None = None) -> None:
        """Record why a column cannot be used.

        Args:
            column: its name.
            predicate: the rest of the sentence after the column's name: ``is infinite``.
            fix: what to do about it.
            row: the index of the row concerned.
        """
        of_file = f" of {self.name}" if row is None else ""
        at_row = "" if row is None else f" in {self.place(row)}"
        self.problems.append(
            ColumnProblem(
                f"column `{column}`{of_file} {predicate}{at_row}", f"`{column}` {predicate}{at_row}", fix
            )
        )

    def add(
        self, column: str, kind: ColumnKind, values: NDArray[Any], *, may_be_missing: bool = True
    ) -> bool:
        """Keep a column. A column with an infinite number becomes a problem instead, and the result is False.

        Args:
            column: its name.
            kind: its kind.
            values: its values.
            may_be_missing: whether the advice may be to leave a field empty.
        """
        if values.dtype == np.float64 and np.isinf(values).any():
            fix = "write finite numbers"
            fix += ", or leave the field empty where a value is missing" if may_be_missing else ""
            self.add_problem(column, "is infinite", fix, int(np.isinf(values).argmax()))
            return False
        self.values[column] = values
        self.kinds[column] = kind
        return True


def raise_problems(problems: Sequence[ColumnProblem], file: str, parameter: str) -> None:
    """Raise the problems of a file's columns as one error.

    Raises:
        DataError: there is at least one problem.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise DataError(problems[0].message, hint=problems[0].fix, parameter=parameter)
    problem_list = _joined([problem.short for problem in problems])
    message = f"{len(problems)} columns of {file} cannot be used: {problem_list}"
    fixes = dict.fromkeys(problem.fix for problem in problems if problem.fix)
    raise DataError(message, hint=_joined([*fixes]), parameter=parameter)


def no_such_column(
    name: str,
    known: list[str],
    file: str,
    *,
    kind: str = "column",
    parameter: str = "data.target",
    also: str = "",
) -> DataError:
    """The error for a name that is no column of the file.

    Args:
        name: the missing column.
        known: the columns of the file; the error lists them, the most similar one first.
        file: the file's name.
        kind: the word for a column of this file.
        parameter: the configuration key that the error names.
        also: further advice.
    """
    listed = f"the {kind}s are {names_shown(known)}"
    hint = "; ".join(part for part in (nearest(name, known), listed, also) if part)
    return DataError(f"{file} has no {kind} `{name}`", hint=hint, parameter=parameter)


def check_header(header: Sequence[str], file: str, parameter: str) -> None:
    """Make sure that every column has a name of its own.

    Raises:
        DataError: there is no column; or some have no name, or the same one.
    """
    if not any(header):
        raise DataError(f"{file} is empty", parameter=parameter)
    messages, hints = [], []
    nameless = [str(number) for number, name in enumerate(header, start=1) if not name]
    if nameless:
        word = "column" if len(nameless) == 1 else "columns"
        verb = "has" if len(nameless) == 1 else "have"
        messages.append(f"{word} {names_shown(nameless)} of {file} {verb} no name")
        hints.append("name it in the header, or remove it from the file")
    counts = Counter(name for name in header if name)
    repeated = [name for name, n_columns in counts.items() if n_columns > 1]
    if repeated:
        numbers = {2: "two"}
        shown = [f"{numbers.get(counts[name], counts[name])} columns named `{name}`" for name in repeated]
        messages.append(f"{file} has {_joined(shown)}")
        hints.append("give each column a name of its own")
    if messages:
        raise DataError("; ".join(messages), hint="; ".join(hints), parameter=parameter)


def names_shown(names: Sequence[str]) -> str:
    """Names as a message lists them: the first 20, and the number of the others."""
    rest = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + rest


def quoted(names: Sequence[str]) -> str:
    """Names of columns as a note lists them, each in quotes."""
    return names_shown([f"'{name}'" for name in names])


def _joined(parts: Sequence[str]) -> str:
    """As many parts as an error has room for, and the number of the others."""
    shown: list[str] = []
    for part in parts:
        if shown and sum(map(len, shown)) + len(part) > _MAX_CHARACTERS:
            break
        shown.append(part)
    rest = len(parts) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more" if rest else "")
