"""The settings of the validation and the test data: which rows or files they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tunecli.knob import Fraction, Knob

FileName = Annotated[str, Field(min_length=1)]


class Validation(Knob):
    """Validation data: a fraction of the data, each of several folds in turn, or a file.

    Attributes:
        fraction: fraction of the data; stratified by class for classification.
        folds: number of folds; each one validates a training on the others, and the score is the mean.
        file: file or folder of validation data.
    """

    fraction: Fraction | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    file: FileName | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Validation:
        if sum(way is not None for way in (self.fraction, self.folds, self.file)) != 1:
            raise ValueError("write exactly one of `fraction`, `folds` and `file`")
        return self


class Test(Knob):
    """Test data, set apart before the validation data; no trial of a search reads it.

    Attributes:
        fraction: fraction of the data; the validation fraction is taken from the rest.
        file: file or folder of test data.
        own: use the test set that comes with the source.
    """

    fraction: Fraction | None = None
    file: FileName | None = None
    own: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Test:
        if sum(way is not None for way in (self.fraction, self.file, self.own)) != 1:
            raise ValueError("write exactly one of `fraction`, `file` and `own`")
        return self
