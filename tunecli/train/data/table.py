"""A data set once it is read (`Table`), the properties of all its files (`TableSchema`), and the shape of an example.

Loads no torch.

Axes: N examples, F features, T steps or tokens, C channels, H rows, W columns, K outputs, L labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.config.schema.losses import Task
from tunecli.train.data.columns import RowPlaces
from tunecli.train.data.dates import DateColumn
from tunecli.train.data.notes import DataNote
from tunecli.train.data.number_format import NumberFormat
from tunecli.train.data.number_text import ColumnKind

MAX_CATEGORIES = 100
"""The largest number of values of a text column whose categories become 0/1 inputs."""
MAX_CODES = 10_000
"""The largest number of values of a text column whose categories become codes."""

InputKind = Literal["features", "sequence", "image", "tokens", "mixed"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a data set.

    A row of features holds ``n_numbers`` numbers, then one code for each column of ``categories``. A mixed row, of a
    text with columns, holds ``text_length`` tokens after them. All are float32, which holds whole numbers up to 2^24
    exactly.

    Attributes:
        shape: the shape of one example: (F,) features, (T, F) a sequence, (C, H, W) an image, or (T,) tokens.
        n_tokens: number of different tokens, padding (token 0) included; 0 if inputs are numbers.
        categories: by column of codes, its number of codes; code 0 is a missing value or one that training lacks.
        text_length: number of tokens at the end of a mixed row; 0 for other inputs.
    """

    shape: tuple[int, ...]
    n_tokens: int = 0
    categories: tuple[int, ...] = ()
    text_length: int = 0

    @property
    def kind(self) -> InputKind:
        """The kind of inputs: one of five."""
        if self.text_length:
            return "mixed"
        if self.n_tokens:
            return "tokens"
        kinds: dict[int, InputKind] = {1: "features", 2: "sequence", 3: "image"}
        return kinds[len(self.shape)]

    @property
    def n_values(self) -> int:
        """Number of values in one example."""
        return prod(self.shape)

    @property
    def n_numbers(self) -> int:
        """Number of features that are neither codes nor tokens; 0 for a text alone."""
        if self.n_tokens and not self.text_length:
            return 0
        return self.shape[0] - len(self.categories) - self.text_length

    @property
    def texts(self) -> Inputs:
        """The texts alone, of mixed rows."""
        return Inputs((self.text_length,), self.n_tokens)


@dataclass(frozen=True, slots=True, eq=False)
class TextColumn:
    """A column of text: ``values`` (N,) are strings, or None if missing."""

    name: str
    values: NDArray[np.object_]

    @property
    def categories(self) -> set[str]:
        """The distinct values."""
        return {value for value in self.values.tolist() if value is not None}


@dataclass(frozen=True, slots=True)
class TextSchema:
    """A column of text of the training file, and its distinct values in order."""

    name: str
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Everything about a training table except its rows: further files are read with it.

    It holds plain values only, so that it can be stored.

    Attributes:
        kind: the kind of inputs.
        shape: the shape of one row of `Table.x`.
        task: the kind of target.
        class_names: one per class or label, in the order of the indices; empty for regression.
        feature_names: one per column of `Table.x`; empty if it holds no features.
        text: the columns that are encoded as categories.
        prose: the column that is read as a text; empty if there is none.
        n_tokens: number of different tokens in `Table.x`; 0 if it holds numbers.
        kinds: the kind of each column of the file, including the target's.
        formats: by column of numbers that are not plain, how the training file writes them.
        target_names: one per output of a regression with several outputs; empty otherwise.
        dates: the columns of dates, whose inputs are among ``feature_names``, and the column of times.
    """

    kind: InputKind
    shape: tuple[int, ...]
    task: Task
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    text: tuple[TextSchema, ...] = ()
    prose: str = ""
    n_tokens: int = 0
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    formats: Mapping[str, NumberFormat] = field(default_factory=dict)
    target_names: tuple[str, ...] = ()
    dates: tuple[DateColumn, ...] = ()

    @property
    def input_columns(self) -> tuple[str, ...]:
        """The columns of a file that are inputs, except ``prose``."""
        made = {name for date in self.dates for name in date.inputs}
        numbers = (name for name in self.feature_names if name not in made)
        dates = (date.name for date in self.dates if date.parts)
        return (*numbers, *dates, *(column.name for column in self.text))


@dataclass(frozen=True, slots=True, eq=False)
class RowRoles:
    """The columns of a table that are not inputs, each (N,), or None if there is no such column.

    Attributes:
        id: names of the rows, as text.
        weight: weights of the examples, float64, at least 0.
        group: the group of each row, as text: all rows of a group are in one part.
        time: the time of each row, float64: seconds since 1970, or the number that the file holds.
        part: ``train``, ``validation`` or ``test``.
    """

    id: NDArray[np.object_] | None = None
    weight: NDArray[np.float64] | None = None
    group: NDArray[np.object_] | None = None
    time: NDArray[np.float64] | None = None
    part: NDArray[np.object_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Examples that are windows of consecutive rows of a table.

    Attributes:
        ends: (N,) place of each window's last row, ascending.
        length: T, the rows of a window.
        n_later: rows from a window's last row to its last target; 0 for rows to predict.
        roles: the roles of the rows, which a split by time reads: its cut does not depend on the windows.
    """

    ends: NDArray[np.int64]
    length: int
    n_later: int = 0
    roles: RowRoles = RowRoles()

    @property
    def n_rows(self) -> int:
        """R, the number of rows of the series, if they have times."""
        return 0 if self.roles.time is None else len(self.roles.time)

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The place (N,) of each window's first row."""
        return self.ends - self.length + 1

    @property
    def lasts(self) -> NDArray[np.int64]:
        """The place (N,) of each window's last target."""
        return self.ends + self.n_later

    def rows_of(self, examples: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places (n, T) of the rows of some windows."""
        rows_NT: NDArray[np.int64] = self.firsts[examples][:, None] + np.arange(self.length)
        return rows_NT

    def without_overlap(self, examples: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
        """The examples whose rows and targets are no rows or targets of other ones."""
        if not len(others):
            return examples
        borders = np.zeros(int(self.lasts.max()) + 2, dtype=np.int64)
        np.add.at(borders, self.firsts[others], 1)
        np.add.at(borders, self.lasts[others] + 1, -1)
        n_used = np.concatenate([[0], np.cumsum(np.cumsum(borders) > 0)])
        kept: NDArray[np.int64] = examples[n_used[self.lasts[examples] + 1] == n_used[self.firsts[examples]]]
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A data set, before it is split or scaled.

    Attributes:
        x: features (N, F), NaN if missing; sequences (N, T, F) or images (N, C, H, W), never missing; or int64 tokens
            (N, T). It is (N, 0) if ``prose`` holds all inputs.
        y: (N,) class indices (int64); the target in its own units (float64), (N,) or (N, K); or (N, L) int64, 1 where
            an example has a label.
        task: the kind of target.
        class_names: one per class or label, in the order of the indices; empty for regression.
        feature_names: one per column of ``x``; empty if ``x`` holds no features.
        text: the columns that are one-hot encoded later.
        data_notes: decisions made while the data was read.
        prose: the column of texts, which become tokens; None if there is none.
        n_tokens: number of different tokens that ``x`` may hold; 0 if it holds numbers.
        kinds: the kind of each column of the file, including the target's; validation and test files are read with
            them. Empty if the data came from no file with columns.
        formats: by column of numbers that are not plain, how the file writes them.
        roles: columns that are not inputs.
        has_target: False for rows to predict without targets: ``y`` is 0 there.
        target_names: one per output of a regression with several outputs; empty otherwise.
        dates: the columns of dates, as in `TableSchema`.
        windows: the rows of each example of a time series: then ``x`` and ``text`` have one row for each row of the
            series, and ``y`` and ``roles`` have one for each window. None if each row is an example.
        places: where the rows are in their files; None if they come from no file with columns, or are reordered.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    task: Task
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    text: tuple[TextColumn, ...] = ()
    data_notes: tuple[DataNote, ...] = ()
    prose: TextColumn | None = None
    n_tokens: int = 0
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    formats: Mapping[str, NumberFormat] = field(default_factory=dict)
    roles: RowRoles = RowRoles()
    has_target: bool = True
    target_names: tuple[str, ...] = ()
    dates: tuple[DateColumn, ...] = ()
    windows: Windows | None = None
    places: RowPlaces | None = None

    def __post_init__(self) -> None:
        # Tables are cached and shared by all trials of a process.
        self.x.flags.writeable = False
        self.y.flags.writeable = False

    @property
    def notes(self) -> tuple[str, ...]:
        """The texts of `data_notes` that every command shows."""
        return tuple(note.text for note in self.data_notes if not note.is_detail)

    @property
    def kind(self) -> InputKind:
        """The kind of inputs that a model gets."""
        if self.prose is not None and (self.x.shape[1] or self.text):
            return "mixed"
        if self.prose is not None or self.n_tokens:
            return "tokens"
        if self.windows is not None:
            return "sequence"
        kinds: dict[int, InputKind] = {2: "features", 3: "sequence", 4: "image"}
        return kinds[self.x.ndim]

    @property
    def row_kind(self) -> InputKind:
        """The kind of inputs that one row of ``x`` and ``text`` holds: features in windows and beside texts."""
        return "features" if self.windows is not None or self.kind == "mixed" else self.kind

    def rows_of(self, examples: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of ``x`` and ``text`` that some examples need, ascending."""
        return examples if self.windows is None else np.unique(self.windows.rows_of(examples))

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Examples of each class; empty if the task is no classification into one class."""
        return self.class_counts_of(slice(None))

    def class_counts_of(self, rows: NDArray[np.int64] | slice) -> tuple[int, ...]:
        """Examples of each class in ``rows``; empty if the task is no classification into one class."""
        if self.task != "classification":
            return ()
        return tuple(np.bincount(self.y[rows], minlength=len(self.class_names)).tolist())

    @property
    def label_counts(self) -> tuple[int, ...]:
        """Examples of each label; empty if examples have no labels."""
        return tuple(self.y.sum(0).tolist()) if self.task == "multilabel" else ()

    @property
    def schema(self) -> TableSchema:
        """Everything except the rows."""
        text = tuple(TextSchema(column.name, tuple(sorted(column.categories))) for column in self.text)
        prose = "" if self.prose is None else self.prose.name
        shape = tuple(self.x.shape[1:])
        return TableSchema(
            self.kind,
            shape,
            self.task,
            self.class_names,
            self.feature_names,
            text,
            prose,
            self.n_tokens,
            self.kinds,
            self.formats,
            self.target_names,
            self.dates,
        )


def joined(table: Table, other: Table) -> Table:
    """A table with the rows of both: ``other`` was read with the schema of ``table``."""
    prose = table.prose
    if prose is not None and other.prose is not None:
        prose = TextColumn(prose.name, np.concatenate([prose.values, other.prose.values]))
    text = tuple(
        TextColumn(one.name, np.concatenate([one.values, beside.values]))
        for one, beside in zip(table.text, other.text, strict=True)
    )
    windows = table.windows
    if windows is not None and other.windows is not None:
        ends = np.concatenate([windows.ends, len(table.x) + other.windows.ends])
        roles = _joined_roles(windows.roles, windows.n_rows, other.windows.roles, other.windows.n_rows)
        windows = replace(windows, ends=ends, roles=roles)
    roles = _joined_roles(table.roles, len(table.y), other.roles, len(other.y))
    x, y = np.concatenate([table.x, other.x]), np.concatenate([table.y, other.y])
    return replace(table, x=x, y=y, text=text, prose=prose, roles=roles, windows=windows, places=None)


def _joined_roles(one: RowRoles, n_one: int, other: RowRoles, n_other: int) -> RowRoles:
    """The roles of the rows of two tables that both have; rows without a weight have the weight 1."""
    joined = {
        role.name: np.concatenate([first, second])
        for role in fields(RowRoles)
        if (first := getattr(one, role.name)) is not None
        and (second := getattr(other, role.name)) is not None
    }
    weights = (one.weight, other.weight)
    if any(weight_N is not None for weight_N in weights):
        filled = (
            np.ones(n) if weight_N is None else weight_N
            for weight_N, n in zip(weights, (n_one, n_other), strict=True)
        )
        joined["weight"] = np.concatenate([*filled])
    return RowRoles(**joined)
