"""The settings of the validation and the test data: which rows or files they are."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from tunecli.knob import Count, Fraction, Knob, Values

FileName = Annotated[str, Field(min_length=1)]
By = Annotated[
    Literal["row", "group", "time", "column"],
    Values(
        {
            "row": "Draws single rows.",
            "group": "Keeps all rows of a group of `data.columns.group` in one part.",
            "time": "Takes the latest rows of `data.columns.time`.",
            "column": "Takes the rows that `data.columns.split` marks.",
        }
    ),
]
"""What a split keeps together or in order; see `Validation`."""
Stratify = Annotated[
    Literal["auto", "quantiles", "none"],
    Values(
        {
            "auto": "About the same share of each class or set of labels in each part.",
            "quantiles": "About the same share of ten ranges of a numeric target in each part.",
            "none": "The target is ignored.",
        }
    ),
]

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _is_gap(gap: int | str) -> int | str:
    if isinstance(gap, str):
        span_s(gap)
    return gap


def span_s(text: str) -> float:
    """The seconds of a span of time such as ``7d``.

    Raises:
        ValueError: it is not a number with one of the units s, m, h, d and w.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text)
    if found is None:
        raise ValueError("write a number of rows, or a time such as 90s, 30m, 12h, 7d or 2w")
    return float(found[1]) * _UNITS_S[found[2]]


Gap = Annotated[Annotated[int, Field(ge=0)] | str, AfterValidator(_is_gap)]
"""A number of rows, or a span of time."""


class Validation(Knob):
    """Validation data: a fraction of the data, each of several folds in turn, a file, or the rows that a column marks.

    Attributes:
        fraction: fraction of the data; stratified by class for classification.
        folds: number of folds; each one validates a training on the others, and the score is the mean. By time, each
            fold validates a training on the rows before it.
        file: file or folder of validation data.
        by: `row` draws single rows; `group` keeps all rows of a group of `data.columns.group` in one part; `time` takes
            the latest rows of `data.columns.time`; `column` takes the rows that `data.columns.split` marks.
        gap: rows, or time such as `7d`, before the validation part that are left out of the training; with `by: time`.
        repeats: number of times that the folds are drawn; the score is the mean over all of them.
        stratify: `auto` has about the same share of each class, or set of labels, in each part; `quantiles` does so for
            ten ranges of a numeric target; `none` ignores the target.
    """

    fraction: Fraction | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    file: FileName | None = None
    by: By = "row"
    gap: Gap = 0
    repeats: Count = 1
    stratify: Stratify = "auto"

    @model_validator(mode="after")
    def _one_way(self) -> Validation:
        n_ways = sum(way is not None for way in (self.fraction, self.folds, self.file))
        if self.by == "column":
            if n_ways:
                raise ValueError("`by: column` takes the rows that the column marks: write nothing beside it")
        elif n_ways != 1:
            raise ValueError("write exactly one of `fraction`, `folds` and `file`")
        _require_sense(self.by, self.gap, self.stratify, has_file=self.file is not None)
        if self.repeats > 1 and (self.folds is None or self.by == "time"):
            raise ValueError("`repeats` draws random folds again: use it with `folds`, by row or by group")
        return self


class Test(Knob):
    """Test data, set apart before the validation data; no trial of a search reads it.

    Attributes:
        fraction: fraction of the data; the validation fraction is taken from the rest.
        file: file or folder of test data.
        own: use the test set that comes with the source.
        by: as for `validation`; `column` takes the rows that `data.columns.split` marks as test rows.
        gap: rows, or time such as `7d`, before the test part that are in no part; with `by: time`.
        stratify: as for `validation`.
    """

    fraction: Fraction | None = None
    file: FileName | None = None
    own: Literal[True] | None = None
    by: By = "row"
    gap: Gap = 0
    stratify: Stratify = "auto"

    @model_validator(mode="after")
    def _one_way(self) -> Test:
        n_ways = sum(way is not None for way in (self.fraction, self.file, self.own))
        if self.by == "column":
            if n_ways:
                raise ValueError("`by: column` takes the rows that the column marks: write nothing beside it")
        elif n_ways != 1:
            raise ValueError("write exactly one of `fraction`, `file` and `own`")
        _require_sense(self.by, self.gap, self.stratify, has_file=self.fraction is None)
        return self


def _require_sense(by: By, gap: int | str, stratify: Stratify, *, has_file: bool) -> None:
    """Refuse settings without effect.

    Raises:
        ValueError: a setting does not belong to the kind of split.
    """
    if has_file and by in ("group", "time"):
        raise ValueError(f"`by: {by}` splits the data, so it has no effect with a file or a set of its own")
    if gap and by != "time":
        raise ValueError("`gap` needs `by: time`")
    if stratify != "auto" and (has_file or by in ("time", "column")):
        raise ValueError("`stratify` has an effect on rows or groups that are drawn at random only")
