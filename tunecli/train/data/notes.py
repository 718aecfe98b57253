"""What reading a data set decides, and what looks wrong with it: both as values with a sentence for the user.

Owns the kinds of notes and oddities, and how a sentence shows names and values. Loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NoteKind = Literal[
    "one_hot",
    "characters",
    "left_out",
    "stored_index",
    "imputed",
    "missing_marks",
    "mostly_numbers",
    "decimal_commas",
    "rounded",
    "near_constant",
    "unmatched",
    "other_files",
]
"""What a note is about:

- ``one_hot``: a text column becomes one input per category.
- ``characters``: a text column is read character by character.
- ``left_out``: columns that no model sees.
- ``stored_index``: columns that hold the index of a pandas data frame; they are left out.
- ``imputed``: numbers are missing, and the training part's median replaces them.
- ``missing_marks``: which texts count as missing values, and how often each occurs.
- ``mostly_numbers``: a column is text because of a few values; the rest are numbers.
- ``decimal_commas``: a text column holds numbers with a decimal comma.
- ``rounded``: whole numbers beyond 2^53 are rounded to float64.
- ``near_constant``: a column varies by no more than the rounding of its numbers, and becomes 0.
- ``unmatched``: no row of a validation or test file has a category that the training file has.
- ``other_files``: files of a folder that are no images.
"""


@dataclass(frozen=True, slots=True)
class DataNote:
    """One decision about the data.

    Attributes:
        kind: what it is about.
        text: the whole note, one sentence without a full stop.
        columns: the columns it is about, the target's among them where it is meant.
        values: texts of the file that it is about, with how often each occurs.
        place: where the first such value is, in words: ``line 7 of wine.csv``.
        is_detail: True where a person needs it only when they look for it, as in `check`.
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
]
"""What an oddity is about:

- ``numbers_as_classes``: the target's classes look like numbers.
- ``ratings``: whole numbers in an order became classes.
- ``classes_as_numbers``: whole numbers that may be classes are predicted as numbers.
- ``leak``: one column alone tells the target.
- ``id``: a column numbers the rows, or is different in each.
- ``date``: a column holds dates or times.
- ``numbers_as_text``: a text column looks like numbers.
- ``constant``: a column has one value.
- ``duplicate``: two columns tell the same.
- ``unseen``: validation has categories that training has not.
- ``few_members``: a class has very few examples.
- ``imbalanced``: nearly all examples are of one class.
- ``spellings``: categories or classes that differ in case or blanks alone.
"""

FEWEST = 20
"""Rows below which coincidences are usual, and nothing is said of them."""

_MAX_LISTED = 3
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Oddity:
    """One thing that looks wrong: ``text`` is a sentence without a full stop, with what to do about it."""

    kind: OddityKind
    columns: tuple[str, ...]
    text: str


def short(text: str) -> str:
    """A name or a value on one line, of a length that a sentence bears."""
    joined = " ".join(text.split())
    return joined if len(joined) <= _LONGEST else joined[: _LONGEST - 1] + "…"


def listed(names: list[str] | tuple[str, ...], n_shown: int = _MAX_LISTED) -> str:
    """Names in quotes; of many, the first."""
    more = f" and {len(names) - n_shown:,} more" if len(names) > n_shown else ""
    return ", ".join(f"'{short(name)}'" for name in names[:n_shown]) + more


def not_numbers(n: int, n_all: int) -> str:
    """That so many of all values are not numbers."""
    return f"{n:,} of {n_all:,} values {'is not a number' if n == 1 else 'are not numbers'}"


def variants(counts: Mapping[str, int]) -> tuple[str, ...]:
    """The first two spellings that a person would read as one."""
    seen: dict[str, str] = {}
    for text in counts:
        other = seen.setdefault(" ".join(text.casefold().split()), text)
        if other != text:
            return other, text
    return ()
