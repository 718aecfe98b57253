"""Facts to tell about a data set: decisions made while it was read (`DataNote`), and oddities (`Oddity`).

Owns their kinds, and how their sentences show names and values. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from tunecli.config.range_lines import flow
from tunecli.text import shorten

NoteKind = Literal[
    "one_hot",
    "texts",
    "left_out",
    "stored_index",
    "imputed",
    "missing_marks",
    "mostly_numbers",
    "decimal_commas",
    "numbers_read",
    "open_decimal_mark",
    "rounded",
    "near_constant",
    "unmatched",
    "other_files",
    "encoding",
    "target_left_out",
    "labels",
    "dates",
    "ambiguous_dates",
    "weights",
    "series",
    "scaled",
]
"""The kinds of notes:

- ``one_hot``: a text column becomes one input per category.
- ``texts``: a column is read as texts, which become tokens.
- ``left_out``: columns that no model sees.
- ``stored_index``: columns that hold the index of a pandas data frame; they are left out.
- ``imputed``: numbers are missing; the median of the training part replaces them.
- ``missing_marks``: which texts count as missing values, and how often each occurs.
- ``mostly_numbers``: a column is text because of a few values; the other values are numbers.
- ``decimal_commas``: a text column holds numbers with a decimal comma.
- ``numbers_read``: how numbers are written that are not plain: `1.234,50 €`.
- ``open_decimal_mark``: a column's numbers have two readings: `1,234` is 1234 or 1.234.
- ``rounded``: whole numbers beyond 2^53 are rounded to float64.
- ``near_constant``: a column varies by no more than the rounding of its numbers; scaling makes it 0.
- ``unmatched``: no row of a validation or test file has a category that the training file has.
- ``other_files``: files of a folder that are not images.
- ``encoding``: a file is not UTF-8, and in which encoding it is read.
- ``series``: how the rows of time series are ordered, and which are left out.
- ``scaled``: images are scaled to the size of the source.
- ``target_left_out``: rows to predict have a target that cannot be used.
- ``labels``: several target columns, or an array of several, are read as labels.
- ``dates``: a column of dates becomes several numbers.
- ``ambiguous_dates``: a column may hold dates, but it does not show which number is the day.
- ``weights``: an array holds the weights of the examples.
"""


@dataclass(frozen=True, slots=True)
class DataNote:
    """One decision about the data.

    Attributes:
        kind: one of `NoteKind`.
        text: the note, one sentence without a full stop.
        columns: names of the columns concerned; may include the target.
        values: texts of the file concerned, each with its number of rows.
        place: the first such value's place, in words: ``line 7 of wine.csv``.
        is_detail: True if only `check` shows the note.
    """

    kind: NoteKind
    text: str
    columns: tuple[str, ...] = ()
    values: tuple[tuple[str, int], ...] = ()
    place: str = ""
    is_detail: bool = False


OddityKind = Literal[
    "numbers_as_classes",
    "ratings",
    "classes_as_numbers",
    "labels_as_classes",
    "leak",
    "id",
    "date",
    "numbers_as_text",
    "constant",
    "duplicate",
    "unseen",
    "few_members",
    "imbalanced",
    "spellings",
    "cut",
    "unknown_tokens",
]
"""The kinds of oddities:

- ``numbers_as_classes``: the target's classes look like numbers.
- ``ratings``: ordered whole numbers became classes.
- ``classes_as_numbers``: whole numbers that may be classes are predicted as numbers.
- ``labels_as_classes``: the target's classes look like several labels, such as ``red|round``.
- ``leak``: one column alone determines the target.
- ``id``: a column numbers the rows, or differs in each row.
- ``date``: a column holds dates or times.
- ``numbers_as_text``: a text column looks like numbers.
- ``constant``: a column has one value.
- ``duplicate``: two columns hold the same information.
- ``unseen``: the validation part has categories that the training part does not have.
- ``few_members``: a class has very few examples.
- ``imbalanced``: nearly all examples belong to one class.
- ``spellings``: categories or classes that differ only in case or blanks.
- ``cut``: many texts are longer than the largest number of tokens.
- ``unknown_tokens``: the vocabulary lacks many tokens of the validation part.
"""

MIN_ROWS = 20
"""Rules that a coincidence could trigger need at least this many rows."""

_MAX_LISTED = 3
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something that looks wrong with a data set: ``text`` is a sentence without a full stop and says what to do."""

    kind: OddityKind
    columns: tuple[str, ...]
    text: str


def short(text: str) -> str:
    """A name or a value on one line, at most 40 characters."""
    return shorten(" ".join(text.split()), _LONGEST)


def drop_key(names: Iterable[str]) -> str:
    """The key that leaves columns out: `` `data.columns.drop: [id]` ``, or the key alone if a name is long."""
    columns = [*names]
    return f"`data.columns.drop: {flow(columns)}`" if _are_short(columns) else "`data.columns.drop`"


def type_key(name: str, kind: str) -> str:
    """The key that reads a column as another type: `` `data.columns.types: {born: datetime}` ``."""
    return f"`data.columns.types: {flow({name: kind})}`" if _are_short([name]) else "`data.columns.types`"


def _are_short(names: list[str]) -> bool:
    return max(map(len, names), default=0) <= _LONGEST


def listed(names: list[str] | tuple[str, ...], n_shown: int = _MAX_LISTED) -> str:
    """Names in quotes: the first ``n_shown``, and the number of the others."""
    more = f" and {len(names) - n_shown:,} more" if len(names) > n_shown else ""
    return ", ".join(f"'{short(name)}'" for name in names[:n_shown]) + more


def not_numbers(n: int, n_all: int) -> str:
    """``3 of 100 values are not numbers``."""
    return f"{n:,} of {n_all:,} values {'is not a number' if n == 1 else 'are not numbers'}"


def variants(counts: Mapping[str, int]) -> tuple[str, ...]:
    """The first two spellings that differ only in case or blanks; empty if there are none."""
    seen: dict[str, str] = {}
    for text in counts:
        other = seen.setdefault(" ".join(text.casefold().split()), text)
        if other != text:
            return other, text
    return ()
