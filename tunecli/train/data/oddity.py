"""One thing that looks wrong with a data set, and how its sentence shows names and values. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
