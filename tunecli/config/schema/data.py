"""The settings under ``data``: what is read, and how it is prepared. Sources, parts and augmentations are beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tunecli.config.schema.augmentations import Augmentation
from tunecli.config.schema.columns import ColumnSettings
from tunecli.config.schema.models.backbones import weights_file_of
from tunecli.config.schema.series import Series
from tunecli.config.schema.sources import Source, absolute, with_absolute_path
from tunecli.config.schema.validation import Test, Validation
from tunecli.knob import Count, Knob, Values

TokenKind = Annotated[
    Literal["characters", "words", "bpe"],
    Values(
        {
            "characters": "One character.",
            "words": "One word or punctuation mark.",
            "bpe": "A part of a word, from byte-pair encoding of the training texts.",
        }
    ),
]
_MAX_TOKENS: dict[TokenKind, int] = {"characters": 256, "words": 10_000, "bpe": 4000}


class Data(Knob):
    """Training, validation and test data. Scales, categories and tokens are fitted on the training part only.

    Attributes:
        source: where the data comes from: a bundled data set, a file, a folder of images, or your own code.
        target: column that is predicted, or several: numbers for a regression, or truth values for a multi-label
            classification.
        columns: columns of a file that are no inputs, or that are read in another way.
        task: the kind of target: one class, numbers, or any number of labels; `auto` decides by the target. With
            `multilabel`, a text column holds the labels of a row, separated by `|` or `;`.
        inputs: what arrays contain; `auto` reads (N, F) as features, (N, H, W) and (N, C, H, W) as images. `sequence`
            reads (N, T, F).
        text: column of texts, which become tokens; the other columns are left out.
        text_with_columns: the other columns are inputs too, beside the text.
        tokens: unit of a token: one character; one word or punctuation mark; or a part of a word, from merges that
            byte-pair encoding learns from the training texts (it needs the package `tokenizers`).
        lowercase: turn all letters of a text into small letters first.
        max_length: largest number of tokens per example; longer texts are cut.
        max_tokens: largest number of different tokens, including padding and "unknown"; by default 256 for
            `characters`, 10000 for `words` and 4000 for `bpe`.
        validation: validation data: a fraction, folds, a file, or rows that a column marks.
        test: test data, which no trial of a search reads.
        train_fraction: fraction of the training data that is used.
        series: windows of the rows of a time series are the examples.
        normalize: scaling of the inputs, fitted on the training part. `quantile` and `power` (Yeo-Johnson) give skewed
            numbers a normal distribution.
        missing_indicators: add an input, 0 or 1, for each column that has missing numbers in the training part.
        categories: encoding of text columns: an input of 0 or 1 for each category, or a vector that the model learns
            for it, of the size `model.embedding`.
        min_category_count: a category with fewer rows in the training part counts as unknown.
        balance: balance of the classes in training: weight the loss, or sample rare classes more often.
        augment: chain of augmentations, applied in order to the training examples of each epoch.
    """

    source: Source
    target: str | Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    columns: ColumnSettings = ColumnSettings()
    task: Annotated[
        Literal["auto", "classification", "regression", "multilabel"],
        Values(
            {
                "auto": "Decided by the target.",
                "classification": "One class for each example.",
                "regression": "Numbers.",
                "multilabel": "Any number of labels for each example.",
            }
        ),
    ] = "auto"
    inputs: Annotated[
        Literal["auto", "features", "sequence", "image"],
        Values(
            {
                "auto": "Decided by the number of axes.",
                "features": "Plain features, (N, F).",
                "sequence": "Sequences, (N, T, F).",
                "image": "Images, (N, H, W) or (N, C, H, W).",
            }
        ),
    ] = "auto"
    text: str | None = None
    text_with_columns: bool = False
    tokens: TokenKind = "characters"
    lowercase: bool = False
    max_length: Annotated[int, Field(ge=1, le=100_000)] = 256
    max_tokens: Annotated[int, Field(ge=3)] | None = None
    validation: Validation = Validation(fraction=0.2)
    test: Test | None = None
    train_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    series: Series | None = None
    normalize: Annotated[
        Literal["standard", "minmax", "robust", "quantile", "power", "none"],
        Values(
            {
                "standard": "Mean 0 and standard deviation 1.",
                "minmax": "Between 0 and 1.",
                "robust": "Median 0 and interquartile range 1.",
                "quantile": "A normal distribution, by ranks.",
                "power": "Nearly a normal distribution, by the Yeo-Johnson transform.",
                "none": "No scaling.",
            }
        ),
    ] = "standard"
    missing_indicators: bool = False
    categories: Annotated[
        Literal["one_hot", "embedding"],
        Values(
            {
                "one_hot": "An input of 0 or 1 for each category.",
                "embedding": "A vector that the model learns for each category.",
            }
        ),
    ] = "one_hot"
    min_category_count: Count = 1
    balance: Annotated[
        Literal["none", "weight", "sample"],
        Values(
            {
                "none": "No balance: classes count as often as they occur.",
                "weight": "Rare classes have a larger weight in the loss.",
                "sample": "Examples of rare classes are drawn more often.",
            }
        ),
    ] = "none"
    augment: list[Augmentation] = []

    @field_validator("target")
    @classmethod
    def _each_once(cls, target: str | list[str] | None) -> str | list[str] | None:
        names = target if isinstance(target, list) else []
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"the column `{twice}` appears twice")
        return target

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are predicted; empty if the file names none."""
        if self.target is None:
            return ()
        return (self.target,) if isinstance(self.target, str) else tuple(self.target)

    @property
    def reads_columns(self) -> bool:
        """Whether the columns of a table are inputs, and not one column of texts alone."""
        return self.text is None or self.text_with_columns

    @property
    def past_targets(self) -> tuple[str, ...]:
        """The predicted columns whose earlier values are inputs."""
        return self.targets if self.series is not None and self.series.past_target else ()

    @property
    def most_tokens(self) -> int:
        """Largest number of different tokens."""
        return _MAX_TOKENS[self.tokens] if self.max_tokens is None else self.max_tokens

    @model_validator(mode="after")
    def _fitting_columns(self) -> Data:
        problems = [*self.columns.problems_with(self.targets)]
        if self.series is not None and self.text is not None:
            problems.append("a series has no texts: write `series` or `text`, not both")
        if self.series is not None and self.categories == "embedding":
            problems.append("the categories of a series are `one_hot`: no model has embeddings in sequences")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def with_absolute_paths(config: dict[str, Any], base_path: Path) -> dict[str, Any]:
    """A concrete trial with absolute paths, so that it can run from any folder."""
    data = dict(config["data"])
    data["source"] = with_absolute_path(data["source"], base_path)
    for key in ("validation", "test"):
        part = data.get(key)
        if isinstance(part, dict) and part.get("file"):
            data[key] = {"file": absolute(str(part["file"]), base_path)}
    if (weights := weights_file_of(config.get("model"))) is not None:
        config = {**config, "model": {**config["model"], "weights": absolute(weights, base_path)}}
    return {**config, "data": data}
