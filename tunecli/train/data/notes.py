"""What was decided about a file's columns while it was read: facts to show, each with its sentence.

Owns the kinds of such notes. Where they are shown, and which of them, is decided elsewhere.
"""

from __future__ import annotations

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
